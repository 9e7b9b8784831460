"""rasa-onramp jobs"""

from __future__ import annotations

from typing import Optional, Tuple

import click

from rasa_onramp.cli.options import MOST_STEPS
from rasa_onramp.cli.times import time_text
from rasa_onramp.evaluation.tables import table
from rasa_onramp.store import Job, open_store

__all__ = ["command"]


@click.group("jobs")
def command() -> None:
    """What workers adapt: which jobs there are, asking for one, stopping one."""


@command.command("list")
@click.argument("domain", required=False)
def list_(domain: Optional[str]) -> None:
    """List the newest job of each domain, or all of DOMAIN's that are kept, newest first."""
    with open_store() as store:
        jobs = store.jobs.newest() if domain is None else store.jobs.of(domain)
    if not jobs:
        click.echo("no jobs yet; rasa-onramp worker makes them, and rasa-onramp jobs add")
        return
    header = ["domain", "job", "state", "asked by", "made", "attempts", "worker", "what came of it"]
    click.echo(table(header, [_row(job) for job in jobs]))


@command.command("add")
@click.argument("domains", nargs=-1, required=True)
@click.option(
    "--steps",
    type=click.IntRange(1, MOST_STEPS),
    default=None,
    help="Inner steps a run, as adapt's.",
)
@click.option("--force", is_flag=True, help="Adapt even where nothing changed.")
@click.option("--switch-anyway", is_flag=True, help="Switch to a version that is worse, too.")
def add(domains: Tuple[str, ...], steps: Optional[int], force: bool, switch_anyway: bool) -> None:
    """Ask the workers to adapt DOMAINS; also to try again what failed.

    A job that waits, or whose worker is heard of no more, is then done as said here, and at once.
    One that is being done is left alone.
    """
    with open_store() as store:
        for domain in domains:  # a wrong name is said before anything is asked for
            store.dialogues.schema(domain)
        for domain in domains:
            job, _ = store.jobs.enqueue(
                domain,
                asked_by="person",
                inner_steps=steps,
                force=force,
                switch_anyway=switch_anyway,
            )
            by = f" by {job.owner}, and is left alone" if job.state == "running" else ""
            click.echo(f"{domain}: job {job.number} is {job.state}{by}")


@command.command("cancel")
@click.argument("domain")
def cancel(domain: str) -> None:
    """Stop the unfinished job of DOMAIN: a worker that is at it stores nothing.

    What a worker asked for isn't asked for again until the domain changes.
    """
    with open_store() as store:
        job = store.jobs.cancel(domain)
    click.echo(f"{domain}: job {job.number} is cancelled")


def _row(job: Job) -> Tuple[str, ...]:
    state = "lapsed" if job.lapsed else job.state
    return (
        job.domain,
        str(job.number),
        state,
        job.asked_by,
        time_text(job.created_at),
        str(job.attempts),
        job.owner or "-",
        _said(job),
    )


def _said(job: Job) -> str:
    if job.state == "running":
        loss = "" if job.loss is None else f", loss {job.loss:.2f}"
        return "begun" if job.step is None else f"step {job.step} of {job.total}{loss}"
    if job.error is not None:
        return job.error
    made = [] if job.version is None else [f"version {job.version}"]
    return " ".join([*made, job.outcome or ""]).strip() or "-"
