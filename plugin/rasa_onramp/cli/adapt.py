"""rasa-onramp adapt"""

from __future__ import annotations

import os
import signal
from contextlib import closing
from functools import partial
from typing import (
    TYPE_CHECKING,
    Callable,
    Generator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import click

from rasa_onramp.cli.options import (
    MOST_STEPS,
    checkpoint_option,
    chosen_device,
    device_option,
    jobs_option,
    load,
    load_learner,
    progress_bar,
    progress_option,
    refuse_names_and_all,
    refuse_reply_checkpoint,
    replies_option,
    reply_checkpoint_option,
    threads_option,
)
from rasa_onramp.cli.signals import handled, stopped_as_by_hand
from rasa_onramp.errors import ConfigError, LeaseError, OnrampError, StoreUnavailable
from rasa_onramp.store import AdapterInfo, Store, open_store

if TYPE_CHECKING:  # torch is imported by what computes, not by every command
    from rasa_onramp.onboarding import AdaptationReport, ReplyLearner
    from rasa_onramp.tracker.model import StateTracker

    #: What comes of a domain; LeaseError where another process is at it, another error where it
    #: can't be adapted.
    Found = Union[AdaptationReport, AdapterInfo, OnrampError]

__all__ = ["command"]


class How(NamedTuple):
    """How to adapt, as the options say."""

    steps: Optional[int]
    force: bool
    switch_anyway: bool


@click.command("adapt")
@click.argument("domains", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Adapt every domain of the store.")
@click.option(
    "--steps",
    type=click.IntRange(1, MOST_STEPS),
    default=None,
    help="Inner steps a run. Default: what the checkpoint recommends.",
)
@replies_option
@click.option(
    "--force",
    is_flag=True,
    help="Adapt even where support set, schema, feedback and checkpoints are as they were.",
)
@click.option(
    "--switch-anyway",
    is_flag=True,
    help="Switch to a new version that is worse on the held-out dialogues, too.",
)
@checkpoint_option
@reply_checkpoint_option
@device_option
@threads_option
@jobs_option
@progress_option
def command(
    domains: Tuple[str, ...],
    everything: bool,
    steps: Optional[int],
    with_replies: bool,
    force: bool,
    switch_anyway: bool,
    checkpoint: Optional[str],
    reply_checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
    jobs: int,
    progress: Optional[bool],
) -> None:
    """Adapt DOMAINS to their support dialogues and switch to the new versions.

    Prints the joint goal accuracy (JGA) on the domain's held-out dialogues before and after. Where
    a version of the same support set, schema, feedback, checkpoints and steps is there, nothing is
    done without --force.

    A version that is worse on the held-out dialogues than the active one (without one, than the
    checkpoint by itself) is stored and not switched to; nor is any while the active one is pinned.

    A domain that another process is adapting is left to it, which is said; the exit code is then 1.
    One that can't be adapted is passed over, which is said; the exit code is then 2.
    """
    refuse_names_and_all(domains, everything)
    with open_store() as store:
        chosen: Sequence[str] = store.dialogues.domains() if everything else domains
        if not chosen:
            raise ConfigError("no domain given; name domains, or import some and use --all")
        for domain in domains:  # a wrong name is said before any work
            store.dialogues.schema(domain)
        refuse_reply_checkpoint(with_replies)
        device = chosen_device(device)
        tracker = load(checkpoint, device, threads)
        replies = load_learner(with_replies, reply_checkpoint, device)
        how = How(steps, force, switch_anyway)
        errors: List[OnrampError] = []
        if not force:
            looked_at = [
                (d, _made_already(store, tracker, d, steps, replies, switch_anyway)) for d in chosen
            ]
            errors += [found for _, found in looked_at if isinstance(found, OnrampError)]
            chosen = [domain for domain, found in looked_at if found is None]
        if jobs == 1 or not chosen:
            found = _one_by_one(store, tracker, chosen, how, replies, progress)
        else:
            work = partial(
                _adapted, how=how, replies=replies is not None, reply_checkpoint=reply_checkpoint
            )
            del tracker, replies  # each process has its own
            load_learner.cache_clear()
            found = _side_by_side(work, chosen, progress, jobs, checkpoint, device, threads)
        with stopped_as_by_hand(), closing(found):
            for one in found:
                if isinstance(one, OnrampError):
                    errors.append(one)
                _print(one)
    if errors:
        raise click.exceptions.Exit(1 if all(isinstance(e, LeaseError) for e in errors) else 2)


def _made_already(
    store: Store,
    tracker: StateTracker,
    domain: str,
    steps: Optional[int],
    replies: Optional[ReplyLearner],
    switch_anyway: bool,
) -> Optional[Found]:
    """The existing version or error that makes adapting unnecessary (also printed); None where
    there is work.
    """
    from rasa_onramp.onboarding import made_already

    found: Optional[Found]
    try:
        found = made_already(store, tracker, domain, steps=steps, replies=replies)
    except StoreUnavailable:
        raise
    except OnrampError as error:
        found = error
    if isinstance(found, AdapterInfo) and switch_anyway and not found.active:
        return None  # which switches to it
    if found is not None:
        _print(found)
    return found


def _one_by_one(
    store: Store,
    tracker: StateTracker,
    domains: Sequence[str],
    how: How,
    replies: Optional[ReplyLearner],
    progress: Optional[bool],
) -> Generator[Found, None, None]:
    """In this process; a progress bar of steps for each."""
    for domain in domains:
        with progress_bar(progress, desc=domain, unit="step") as bar:

            def after_step(done: int, total: int, loss: float) -> None:
                bar.total = total
                bar.set_postfix(loss=f"{loss:.2f}", refresh=False)
                bar.update()

            found = _adapt(store, tracker, domain, how, replies, after_step)
        yield found


def _adapt(
    store: Store,
    tracker: StateTracker,
    domain: str,
    how: How,
    replies: Optional[ReplyLearner],
    progress: Optional[Callable[[int, int, float], None]] = None,
) -> Found:
    import torch

    from rasa_onramp.onboarding import adapt_at_once

    try:
        return adapt_at_once(
            store, tracker, domain, replies=replies, progress=progress, **how._asdict()
        )
    except StoreUnavailable:
        raise
    except LeaseError as error:  # the other domains are adapted all the same
        return error
    except OnrampError as error:
        return OnrampError(str(error))  # some can't go from one process to another
    except torch.cuda.OutOfMemoryError:
        return OnrampError(
            f"{domain}: {tracker.device} has too little free memory; free it, or use --device cpu"
        )


def _side_by_side(
    work: Callable[[StateTracker, str], Found],
    domains: Sequence[str],
    progress: Optional[bool],
    jobs: int,
    checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
) -> Generator[Found, None, None]:
    """In several processes, each with the store opened for itself; one progress bar of domains."""
    from rasa_onramp.evaluation.processes import in_processes
    from rasa_onramp.tracker.checkpoint import load_tracker

    found = in_processes(
        work,
        domains,
        jobs=jobs,
        load=partial(load_tracker, checkpoint, device=device),
        threads=threads,
    )
    bar = progress_bar(progress, total=len(domains), desc="adapt", unit="domain")
    with bar, closing(found):
        for one in found:
            bar.update()
            bar.clear()  # what is printed next stands on a line of its own
            yield one


def _adapted(
    tracker: StateTracker, domain: str, *, how: How, replies: bool, reply_checkpoint: Optional[str]
) -> Found:
    """What a process does. Ended by its parent before it is done, it gives up its job first."""
    learner = load_learner(replies, reply_checkpoint, str(tracker.device))
    with handled(_ended, signal.SIGTERM):
        try:
            with open_store() as store:
                return _adapt(store, tracker, domain, how, learner)
        except SystemExit:
            os._exit(1)  # raised on, it would end this piece of the work, and not the process


def _ended(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one mustn't end the giving up
    raise SystemExit


def _print(found: Found) -> None:
    """One domain's lines."""
    from rasa_onramp.onboarding import AdaptationReport, up_to_date

    if isinstance(found, OnrampError):
        click.echo(f"rasa-onramp: {found}", err=True)
    elif isinstance(found, AdaptationReport):
        click.echo(_line(found))
        if found.warning is not None:
            click.echo(found.warning, err=True)
    else:
        click.echo(f"{found.domain}: {up_to_date(found)}")


def _line(report: AdaptationReport) -> str:
    line = f"{report.domain}: version {report.version} {report.figures}"
    if report.kept is not None:
        line += (
            f"\n{report.domain}: not switched to version {report.version}, {report.kept}; "
            f"switch by rasa-onramp versions activate {report.domain} {report.version}"
        )
    return line
