"""Whether the store can be used, and its domains with the checkpoints that are here."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Iterator, List, Optional, Tuple

from tqdm import tqdm

from rasa_onramp.doctor.findings import Finding, ok, problem, some, warning
from rasa_onramp.doctor.subject import Subject
from rasa_onramp.environment import is_variable
from rasa_onramp.errors import (
    CheckpointError,
    ConfigError,
    NotFound,
    StoreBusy,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from rasa_onramp.store import DomainSummary, Store
    from rasa_onramp.tracker.model import StateTracker

__all__ = ["opened", "store_findings"]


def opened(subject: Subject) -> Store:
    """The store that the subject uses. Raises ConfigError."""
    from rasa_onramp.store import open_store, open_store_from_env

    variable = subject.database_variable
    return open_store() if variable is None else open_store_from_env(variable)


def store_findings(subject: Subject, progress: bool = False) -> Iterator[Finding]:
    """The database and what is in it. Raises ConfigError, StoreError, StoreUnavailable."""
    variable = subject.database_variable
    if variable is not None and not is_variable(variable):  # bot.py says so, without repeating it
        return
    with opened(subject) as store:
        store.revision()
        yield ok("store", f"{store.name} answers, and its tables are up to date")
        yield _writing(store, subject)
        yield from _file(store)
        summaries = store.dialogues.summary()
        if not summaries:
            yield warning("domains", "there are none; `rasa-onramp import` adds some")
            return
        tracker = _tracker(subject)
        yield from _domains(store, summaries, tracker)
        yield from _jobs(store)
        yield from _adapters(store, summaries, subject, tracker, progress)


def _writing(store: Store, subject: Subject) -> Finding:
    """Whether it takes changes; a bot without a channel of ours that makes any does without."""
    try:
        store.try_writing()
    except StoreBusy as error:
        return warning("store", f"whether it can be written to isn't known: {error}")
    except StoreReadOnly as error:
        said = " ".join(str(error).split())
        if subject.changes_store:
            return problem("store", said)
        return warning("store", f"{said}. A bot that only answers, as this one, does without")
    return ok("store", "it can be written to")


def _file(store: Store) -> Iterator[Finding]:
    """What is amiss with an SQLite file."""
    journal = store.journal()
    if journal is None:
        return
    if journal != "wal":
        yield warning(
            "store",
            f"it is written without a write-ahead log ({journal}), so that messages wait for "
            "whoever writes; keep it on a local disk, and run `rasa-onramp init`",
        )
    try:
        mode = os.stat(store.name).st_mode & 0o777
    except OSError:
        return
    if os.name == "posix" and mode & 0o066:
        yield warning(
            "store",
            f"other users of this machine may read what people said ({mode:03o}); "
            f"chmod 600 {shlex.quote(store.name)}",
        )


def _tracker(subject: Subject) -> Optional[StateTracker]:
    """The tracker that the bot runs; None where it is damaged, which has a check of its own."""
    from rasa_onramp.tracker.checkpoint import load_tracker

    try:
        return load_tracker(subject.checkpoint)
    except CheckpointError:
        return None


def _domains(
    store: Store, summaries: Tuple[DomainSummary, ...], tracker: Optional[StateTracker]
) -> Iterator[Finding]:
    from rasa_onramp.tracker.schema_prompt import check_length

    yield ok("domains", f"{len(summaries)}: {some(s.name for s in summaries)}")
    for summary in summaries:
        try:
            schema = store.dialogues.schema(summary.name)
            by_hand = store.dialogues.changed_by_hand(summary.name)
            store.feedback.list(summary.name)
            if tracker is not None:
                check_length(tracker.tokens, schema)
        except NotFound:  # deleted meanwhile
            continue
        except StoreUnavailable:
            raise
        except StoreError as error:
            yield problem("domains", str(error))
        except ConfigError as error:
            yield problem("domains", f"{error}. Bots leave it out until then")
        else:
            if by_hand:
                yield warning(
                    "domains",
                    f"dialogues of {summary.name} whose rows were changed by hand, which no "
                    f"adapting takes note of: {some(by_hand)}; `rasa-onramp remove {summary.name} "
                    "--dialogue ID`, and import them",
                )
    waiting = [s.name for s in summaries if s.n_waiting]
    if waiting:
        yield warning(
            "domains",
            f"with dialogues that wait for labels, and aren't learned from: {some(waiting)}; "
            "`rasa-onramp label DOMAIN`",
        )
    bare = [s.name for s in summaries if s.n_support == 0 and not s.n_waiting]
    if bare:
        yield warning(
            "domains",
            f"without support dialogues, so known by descriptions alone: {some(bare)}; write about "
            "five dialogues each and import them",
        )
    unadapted = [s.name for s in summaries if s.active_version is None and s.n_support]
    if unadapted:
        yield warning(
            "domains",
            f"on no adapter, so tracked zero-shot: {some(unadapted)}; `rasa-onramp adapt --all`, "
            "unless you chose so",
        )
    remade = store.dialogues.remade(summaries)
    if remade:
        yield ok(
            "domains",
            f"with a version of what they are now that isn't active: {some(remade)}; `rasa-onramp "
            "versions list` shows it",
        )
    stale = [s.name for s in summaries if s.stale and s.name not in remade]
    if stale:
        yield warning(
            "domains",
            f"changed since their version was made: {some(stale)}; `rasa-onramp adapt --all`",
        )


def _jobs(store: Store) -> Iterator[Finding]:
    failed = [job.domain for job in store.jobs.newest() if job.failed]
    if failed:
        yield warning("jobs", f"failed: {some(failed)}; `rasa-onramp jobs list` says why")


def _adapters(
    store: Store,
    summaries: Tuple[DomainSummary, ...],
    subject: Subject,
    tracker: Optional[StateTracker],
    progress: bool,
) -> Iterator[Finding]:
    """Whether every active version is whole and for the checkpoints that the bot runs."""
    from rasa_onramp.generator.checkpoint import reply_card
    from rasa_onramp.runtime.adapter_cache import read_adapter

    digest = None if tracker is None else tracker.digest
    replies: Optional[str] = None
    with suppress(CheckpointError):  # damaged ones have a check of their own
        replies = reply_card(subject.reply_checkpoint).digest
    active = [s for s in summaries if s.active_version is not None]
    flaws: List[str] = []
    foreign: List[str] = []
    for summary in tqdm(active, desc="adapters", unit="domain", disable=not progress):
        assert summary.active_version is not None
        try:
            read_adapter(store, summary.name, summary.active_version, digest)
            reply = store.adapters.reply(summary.name, summary.active_version)
        except CheckpointError as error:
            flaws.append(str(error))
            continue
        if reply is not None and replies is not None and reply.checkpoint_digest != replies:
            foreign.append(summary.name)
    for flaw in flaws:
        yield problem("adapters", flaw)
    if foreign:
        yield warning(
            "adapters",
            "their replies' part is for another initialisation, so support replies answer: "
            f"{some(foreign)}; `rasa-onramp adapt --all`",
        )
    if active and not flaws:
        fit = "" if digest is None else " and for the tracker that is here"
        yield ok("adapters", f"{len(active)} active, all whole{fit}")
