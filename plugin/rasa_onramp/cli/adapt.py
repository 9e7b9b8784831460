"""rasa-onramp adapt"""

from __future__ import annotations

from contextlib import closing
from functools import lru_cache, partial
from math import exp
from typing import TYPE_CHECKING, Callable, Generator, Optional, Sequence, Tuple

import click

from rasa_onramp.cli.options import (
    checkpoint_option,
    chosen_device,
    device_option,
    jobs_option,
    load,
    load_reply_model,
    progress_bar,
    progress_option,
    reply_checkpoint_option,
    threads_option,
)
from rasa_onramp.errors import ConfigError
from rasa_onramp.store import Store, open_store

if TYPE_CHECKING:  # torch is imported by what computes, not by every command
    from rasa_onramp.onboarding import AdaptationReport, ReplyLearner
    from rasa_onramp.tracker.model import StateTracker

__all__ = ["command"]


@click.command("adapt")
@click.argument("domains", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Adapt every domain of the store.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=None,
    help="Inner steps a run. Default: what the checkpoint recommends, fewer of them below five "
    "support dialogues.",
)
@click.option(
    "--replies/--no-replies",
    "with_replies",
    default=True,
    show_default=True,
    help="Adapt the replies' language model too, where its weights are here.",
)
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
    """
    with open_store() as store:
        chosen: Sequence[str] = store.dialogues.domains() if everything else domains
        if not chosen:
            raise ConfigError("no domain given; name domains, or import some and use --all")
        for domain in chosen:  # a wrong name is said before any work
            store.dialogues.schema(domain)
        tracker = load(checkpoint, device, threads)
        replies = _learner(with_replies, reply_checkpoint, chosen_device(device))
        if not force:
            chosen = [d for d in chosen if not _made_already(store, tracker, d, steps, replies)]
        if jobs == 1 or not chosen:
            reports = _one_by_one(store, tracker, chosen, steps, replies, switch_anyway, progress)
        else:
            how = partial(
                _adapted,
                steps=steps,
                replies=replies is not None,
                reply_checkpoint=reply_checkpoint,
                switch_anyway=switch_anyway,
            )
            reports = _side_by_side(how, chosen, progress, jobs, checkpoint, device, threads)
        with closing(reports):
            for report in reports:
                click.echo(_line(report))


def _made_already(
    store: Store,
    tracker: StateTracker,
    domain: str,
    steps: Optional[int],
    replies: Optional[ReplyLearner],
) -> bool:
    """Whether there is nothing to adapt, which is said."""
    from rasa_onramp.onboarding import made_already

    found = made_already(store, tracker, domain, steps=steps, replies=replies)
    if found is not None:
        line = f"{domain}: up to date, nothing changed since version {found.version} was made"
        if not found.active:
            line += f"; it isn't active: rasa-onramp versions activate {domain} {found.version}"
        click.echo(line)
    return found is not None


def _one_by_one(
    store: Store,
    tracker: StateTracker,
    domains: Sequence[str],
    steps: Optional[int],
    replies: Optional[ReplyLearner],
    switch_anyway: bool,
    progress: Optional[bool],
) -> Generator[AdaptationReport, None, None]:
    """In this process; a progress bar of steps for each."""
    from rasa_onramp.onboarding import adapt

    for domain in domains:
        with progress_bar(progress, desc=domain, unit="step") as bar:

            def after_step(done: int, total: int, loss: float) -> None:
                bar.total = total
                bar.set_postfix(loss=f"{loss:.2f}", refresh=False)
                bar.update()

            report = adapt(
                store,
                tracker,
                domain,
                steps=steps,
                replies=replies,
                switch_anyway=switch_anyway,
                progress=after_step,
            )
        yield report


def _side_by_side(
    how: Callable[[StateTracker, str], AdaptationReport],
    domains: Sequence[str],
    progress: Optional[bool],
    jobs: int,
    checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
) -> Generator[AdaptationReport, None, None]:
    """In several processes, each with the store opened for itself; one progress bar of domains."""
    from rasa_onramp.evaluation.processes import in_processes
    from rasa_onramp.tracker.checkpoint import load_tracker

    reports = in_processes(
        how,
        domains,
        jobs=jobs,
        load=partial(load_tracker, checkpoint, device=chosen_device(device)),
        threads=threads,
    )
    bar = progress_bar(progress, total=len(domains), desc="adapt", unit="domain")
    with bar, closing(reports):
        for report in reports:
            bar.update()
            bar.clear()  # what is printed next stands on a line of its own
            yield report


def _adapted(
    tracker: StateTracker,
    domain: str,
    *,
    steps: Optional[int],
    replies: bool,
    reply_checkpoint: Optional[str],
    switch_anyway: bool,
) -> AdaptationReport:
    """What a process does."""
    from rasa_onramp.onboarding import adapt

    learner = _learner(replies, reply_checkpoint, str(tracker.device))
    with open_store() as store:
        return adapt(
            store, tracker, domain, steps=steps, replies=learner, switch_anyway=switch_anyway
        )


@lru_cache(maxsize=1)
def _learner(wanted: bool, folder: Optional[str], device: str) -> Optional[ReplyLearner]:
    """What replies are adapted with, or None, saying why, where the shipped one can't be had."""
    if not wanted:
        return None
    from rasa_onramp.onboarding import ReplyLearner
    from rasa_onramp.tracker.encoder import SentenceEncoder

    # eager attention learns faster on a CPU; see meta-train-replies
    model = load_reply_model(folder, device, "eager" if device == "cpu" else "sdpa")
    if model is None:
        return None
    return ReplyLearner(model, SentenceEncoder.load("all-MiniLM-L6-v2").embed)


def _line(report: AdaptationReport) -> str:
    line = (
        f"{report.domain}: version {report.version} from {report.support} support dialogues "
        f"in {report.seconds:.1f} s"
    )
    if report.before is not None and report.after is not None:
        line += (
            f"; JGA on {report.held_out} held-out dialogues "
            f"{report.before.jga:.3f} → {report.after.jga:.3f}"
        )
    if report.replies is not None:
        line += f"; replies in {report.replies.seconds:.1f} s"
        if report.replies.before is not None and report.replies.after is not None:
            before, after = exp(report.replies.before), exp(report.replies.after)
            line += f", perplexity {before:.2f} → {after:.2f}"
    if report.kept is not None:
        line += (
            f"\n{report.domain}: not switched to version {report.version}, {report.kept}; "
            f"switch by rasa-onramp versions activate {report.domain} {report.version}"
        )
    return line
