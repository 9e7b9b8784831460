"""rasa-onramp worker"""

from __future__ import annotations

import json
import signal
from typing import Any, Mapping, Optional, Tuple

import click

from rasa_onramp.cli.options import (
    checkpoint_option,
    chosen_device,
    device_option,
    load,
    load_learner,
    names_in,
    refuse_reply_checkpoint,
    replies_option,
    reply_checkpoint_option,
    threads_option,
)
from rasa_onramp.errors import StoreUnavailable
from rasa_onramp.store import LEASE_SECONDS, POLL_SECONDS, open_store

__all__ = ["command"]


def _names(ctx: Any, param: Any, value: Optional[str]) -> Optional[Tuple[str, ...]]:
    if value is None:
        return None
    names = names_in(value)
    if not names:
        raise click.BadParameter(f"{value!r}: names of domains, separated by commas")
    return names


@click.command("worker")
@click.option(
    "--once", is_flag=True, help="Do what there is to do, and exit: with 1 if any failed."
)
@click.option(
    "--poll",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    default=POLL_SECONDS,
    show_default=True,
    help="How often to look for what changed while there is nothing to do.",
)
@click.option(
    "--domains",
    metavar="NAMES",
    callback=_names,
    default=None,
    help="Only these, separated by commas. Default: all, also those to come.",
)
@click.option(
    "--lease",
    metavar="SECONDS",
    type=click.FloatRange(1),
    default=LEASE_SECONDS,
    show_default=True,
    help="How long a job stays a worker's that isn't heard of.",
)
@click.option(
    "--keep",
    metavar="VERSIONS",
    type=click.IntRange(1),
    default=None,
    help="Where a new version was made, keep so many of the domain's newest, and delete the others "
    "as versions gc does. Default: keep all.",
)
@replies_option
@checkpoint_option
@reply_checkpoint_option
@device_option
@threads_option
def command(
    once: bool,
    poll: float,
    domains: Optional[Tuple[str, ...]],
    lease: float,
    keep: Optional[int],
    with_replies: bool,
    checkpoint: Optional[str],
    reply_checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
) -> None:
    """Adapt what changed in the store, and go on doing so.

    Any number of workers, on any machines, may share a store in PostgreSQL; on one machine an
    SQLite file, too. They never adapt one domain at once, and take over the job of one that died.
    Prints a line of JSON for each attempt at a job. SIGTERM and Ctrl-C make it give its job back
    and exit; a second one, exit at once. While PostgreSQL is away it waits; with --once not at the
    start, and no longer than a lease lasts.
    """
    from rasa_onramp.onboarding import Worker

    with open_store() as store:
        try:  # what is wrong is said before any work
            store.revision()
            for domain in domains or ():
                store.dialogues.schema(domain)
        except StoreUnavailable:
            if once or not store.remote:  # a server may start later than its workers
                raise
        refuse_reply_checkpoint(with_replies)
        device = chosen_device(device)
        tracker = load(checkpoint, device, threads)
        replies = load_learner(with_replies, reply_checkpoint, device)
        worker = Worker(
            store,
            tracker,
            replies=replies,
            domains=domains,
            poll=poll,
            seconds=lease,
            keep=keep,
            on_event=_print,
        )
        before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}

        def stop(*_: object) -> None:
            for one, handler in before.items():
                signal.signal(one, handler)
            worker.stop()

        for one in before:
            signal.signal(one, stop)
        try:
            failed = worker.run(once=once)
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
    if once and failed:
        raise click.exceptions.Exit(1)


def _print(event: Mapping[str, Any]) -> None:
    click.echo(json.dumps(event, ensure_ascii=False))
