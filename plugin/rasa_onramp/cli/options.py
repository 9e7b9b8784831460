"""Options that several commands share."""

from __future__ import annotations

import os
import sys
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Tuple

import click
from click.core import ParameterSource
from tqdm import tqdm

from rasa_onramp.weights import LANGUAGE_MODEL

if TYPE_CHECKING:  # torch is imported by what computes, not by every command
    from rasa_onramp.generator.model import ReplyModel
    from rasa_onramp.onboarding import ReplyLearner
    from rasa_onramp.store import Store
    from rasa_onramp.tracker.model import StateTracker

__all__ = [
    "MOST_STEPS",
    "agree",
    "checkpoint_option",
    "chosen_device",
    "device_option",
    "jobs_option",
    "language_model_option",
    "load",
    "load_learner",
    "load_reply_model",
    "names_in",
    "numbers",
    "other_stages",
    "progress_bar",
    "progress_option",
    "refuse_names_and_all",
    "refuse_options",
    "refuse_reply_checkpoint",
    "replies_option",
    "reply_checkpoint_option",
    "shows_progress",
    "tell_if_stale",
    "threads_option",
    "writable",
]

#: Inner steps that a run may be given: more than anybody waits for, and no more than a store holds.
MOST_STEPS = 100_000

#: Where torchrun tells each of its processes which of the machine's GPUs it takes.
_RANK = "LOCAL_RANK"

checkpoint_option = click.option(
    "--checkpoint",
    type=click.Path(),
    default=None,
    help="Folder of a tracker written by meta-train. Default: the one that ships.",
)
reply_checkpoint_option = click.option(
    "--reply-checkpoint",
    type=click.Path(),
    default=None,
    help="Folder of the replies' initialisation, written by meta-train-replies. Default: the one "
    "that ships, where its language model is here.",
)
replies_option = click.option(
    "--replies/--no-replies",
    "with_replies",
    default=True,
    show_default=True,
    help="Adapt the replies' language model too, where its weights are here.",
)
device_option = click.option(
    "--device",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="Where to compute: auto (a GPU where one can be used), cpu, cuda, cuda:1, …",
)
threads_option = click.option(
    "--threads", type=click.IntRange(1, 1024), default=None, help="CPU threads. Default: all cores."
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that share the work; each has --threads threads, or its part of the cores.",
)
language_model_option = click.option(
    "--language-model",
    metavar="NAME",
    default=LANGUAGE_MODEL,
    show_default=True,
    help="Causal language model: hub id or local folder; `rasa-onramp weights` fetches it.",
)
progress_option = click.option(
    "--progress/--quiet",
    default=None,
    help="Show a progress bar, or none. Default: shown in a terminal.",
)


def agree(question: str) -> None:
    """Ask; exit with 1, saying that nothing was changed, unless the answer is yes."""
    click.echo(f"{question} [y/N] ", nl=False)
    answer = sys.stdin.readline()  # nothing to read is no agreement
    if not answer.endswith("\n"):
        click.echo()
    if answer.strip().lower() not in ("y", "yes"):
        click.echo("rasa-onramp: declined; nothing was changed", err=True)
        raise click.exceptions.Exit(1)


def tell_if_stale(store: Store, domain: str) -> None:
    """After something that a version may have learned from was deleted, say how to be rid of that,
    too.
    """
    if store.dialogues.glance(domain).stale:
        # --force, as an older version may be of just what is left, beside one that learned of this
        click.echo(
            f"{domain} changed since its version was made; rasa-onramp adapt {domain} --force"
        )


def progress_bar(progress: Optional[bool], **settings: Any) -> tqdm:
    """A progress bar on stderr; see `shows_progress`."""
    return tqdm(disable=not shows_progress(progress), **settings)


def shows_progress(progress: Optional[bool]) -> bool:
    """What --progress or --quiet asks for; with neither, whether stderr is a terminal."""
    return sys.stderr.isatty() if progress is None else progress


def load(checkpoint: Optional[str], device: str, threads: Optional[int] = None) -> StateTracker:
    """The tracker that the options ask for. Raises CheckpointError or a usage error."""
    import torch

    from rasa_onramp.tracker.checkpoint import load_tracker

    if threads:
        torch.set_num_threads(threads)
    return load_tracker(checkpoint, device=chosen_device(device))


def load_reply_model(folder: Optional[str]) -> Optional[ReplyModel]:
    """The replies' initialisation that `--reply-checkpoint` names. Without one the shipped one, or
    None, after saying why, where that can't be had. Raises CheckpointError.
    """
    from rasa_onramp.generator.checkpoint import chosen_replies

    return chosen_replies(partial(click.echo, err=True), folder)


def refuse_names_and_all(domains: Sequence[str], everything: bool) -> None:
    """Raise UsageError where domains are named beside --all."""
    if everything and domains:
        raise click.UsageError("name domains or give --all, not both")


def refuse_options(names: Sequence[str], mend: str) -> None:
    """Complain of those of these parameters that were given."""
    context = click.get_current_context()
    source = context.get_parameter_source
    options = {str(parameter.name): parameter.opts[0] for parameter in context.command.params}
    given = [
        option
        for name, option in options.items()
        if name in names and source(name) != ParameterSource.DEFAULT
    ]
    if given:
        go = "goes" if len(given) == 1 else "go"
        raise click.UsageError(f"{', '.join(given)} {go} {mend}")


def refuse_reply_checkpoint(with_replies: bool) -> None:
    """Complain of --reply-checkpoint beside --no-replies."""
    if not with_replies:
        refuse_options(("reply_checkpoint",), "without --no-replies")


def other_stages(
    stage: str, multitask: Sequence[str], meta: Sequence[str]
) -> Tuple[Sequence[str], str]:
    """For `refuse_options`: the parameters of the stage that `--stage` leaves out."""
    if stage == "meta":
        return multitask, "with the multi-task stage, not with --stage meta"
    return (meta if stage == "multitask" else ()), "with the meta stage, not with --stage multitask"


@lru_cache(maxsize=1)
def load_learner(wanted: bool, folder: Optional[str], device: str) -> Optional[ReplyLearner]:
    """What replies are adapted with, or None, saying why, where the shipped one can't be had."""
    if not wanted:
        return None
    from rasa_onramp.onboarding import ReplyLearner

    return ReplyLearner.load(partial(click.echo, err=True), folder, device)


def chosen_device(device: str) -> str:
    """The torch device that `--device` names; for auto the GPU, or the CPU where there is none, or
    where it can't be used, which is said. Raises BadParameter.
    """
    import torch

    name = device
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(name)
    except RuntimeError:
        raise click.BadParameter(
            f"{device!r} is no device; try cpu or cuda", param_hint="--device"
        ) from None
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise click.BadParameter("no GPU is visible; try --device cpu", param_hint="--device")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise click.BadParameter(
            f"there are {torch.cuda.device_count()} GPUs, counted from cuda:0",
            param_hint="--device",
        )
    flaw = _flaw_of_device(name)
    if flaw is None:
        return name
    if device == "auto" and _RANK not in os.environ:  # the other processes would wait for this one
        click.echo(f"computing on the CPU: {name} can't be used ({flaw})", err=True)
        return "cpu"
    raise click.BadParameter(
        f"{name} can't be used ({flaw}); free it, or try cpu", param_hint="--device"
    )


def _flaw_of_device(name: str) -> Optional[str]:
    """Why nothing can be computed there: it is full, say, or another process's; None if it can."""
    import torch

    if name == "cuda" and _RANK in os.environ:
        name = f"cuda:{os.environ[_RANK]}"  # see join_workers
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without
        return (str(error) or repr(error)).splitlines()[0]
    return None


def names_in(text: str) -> Tuple[str, ...]:
    """The names in a text that commas separate, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def numbers(least: int) -> Callable[[Any, Any, str], tuple]:
    """A click callback that reads whole numbers separated by commas."""

    def read(ctx: Any, param: Any, value: str) -> tuple:
        try:
            found = tuple(int(part) for part in value.split(",") if part.strip())
        except ValueError:
            raise click.BadParameter(
                f"{value!r}: whole numbers separated by commas, as 0,5"
            ) from None
        if not found or min(found) < least:
            raise click.BadParameter(f"{value!r}: each number must be at least {least}")
        return tuple(dict.fromkeys(found))

    return read


def writable(path: Optional[str], what: str) -> None:
    """Complain before long work, not after it, if the file `path` can't be written."""
    if path is None:
        return
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise click.BadParameter(f"{folder} is no folder; create it first", param_hint=what)
    if os.path.isdir(path):
        raise click.BadParameter(f"{path} is a folder; name a file", param_hint=what)
    if os.path.exists(path) and not os.path.isfile(path):
        raise click.BadParameter(f"{path} is no plain file; name another", param_hint=what)
    # a file is written beside the one that it takes the place of
    if not all(os.access(each, os.W_OK) for each in (folder, path) if os.path.exists(each)):
        raise click.BadParameter(f"{path} can't be written; name another file", param_hint=what)
