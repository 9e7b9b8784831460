"""Doing a job: adapting its domain while its lease is kept, and storing what came of it."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Dict, Optional, Tuple, Union

from rasa_onramp.errors import LeaseError, OnrampError, StoreBusy, StoreError, StoreUnavailable
from rasa_onramp.onboarding.freshness import input_digest, made_already
from rasa_onramp.onboarding.heartbeat import Heartbeat
from rasa_onramp.onboarding.onboard import AdaptationReport, adapt
from rasa_onramp.onboarding.replies import ReplyLearner
from rasa_onramp.store import ATTEMPTS, AdapterInfo, Lease, Store
from rasa_onramp.tracker.model import StateTracker

__all__ = [
    "BY_HAND",
    "Attempt",
    "adapt_at_once",
    "attempt",
    "perform",
    "this_process",
    "up_to_date",
]

logger = logging.getLogger(__name__)

#: `asked_by` of jobs that `rasa-onramp adapt` runs right away.
BY_HAND = "adapt"

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Attempt:
    """What came of an attempt at a job: `state` is done, again (it failed, and is tried again),
    failed, or lost (it is another's, or over); `said` is the outcome, or the error. `version` was
    made, or was there; `deleted` are the older ones that went for it.
    """

    domain: str
    job: int
    attempt: int
    state: str
    said: str
    version: Optional[int]
    seconds: float
    deleted: Tuple[int, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it came to nothing for a reason of its own."""
        return self.state in ("again", "failed")

    def as_dict(self) -> Dict[str, Any]:
        """Fit for JSON."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def this_process() -> str:
    """What a lease's owner is called: the machine and the process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def adapt_at_once(
    store: Store,
    tracker: StateTracker,
    domain: str,
    *,
    steps: Optional[int] = None,
    replies: Optional[ReplyLearner] = None,
    force: bool = False,
    switch_anyway: bool = False,
    progress: Optional[Progress] = None,
) -> Union[AdaptationReport, AdapterInfo]:
    """Adapt `domain` here and now, as a job, so that no other process does meanwhile.

    Returns as `perform`, and raises as it; LeaseError too where another process is at it.
    """
    lease = store.jobs.begin(
        domain,
        this_process(),
        asked_by=BY_HAND,
        inner_steps=steps,
        force=force,
        switch_anyway=switch_anyway,
        input_digest=_input_of(store, domain, tracker, replies),
    )
    return perform(store, lease, tracker, replies=replies, by_hand=True, progress=progress)


def attempt(
    store: Store,
    lease: Lease,
    tracker: StateTracker,
    *,
    replies: Optional[ReplyLearner] = None,
    keep: Optional[int] = None,
    progress: Optional[Progress] = None,
    check: Callable[[], None] = lambda: None,
) -> Attempt:
    """`perform` a job, and what came of it: its errors are stored with the job, not raised. Once it
    has made a version, the domain's old ones are deleted as `AdapterStore.collect` does, with
    `keep` (None: all stay). Raises StoreUnavailable where the store is away, with which nothing is
    stored, and what `progress` and `check` raise that is no Exception.
    """
    began = time.monotonic()
    version: Optional[int] = None
    deleted: Tuple[int, ...] = ()
    try:
        made = perform(store, lease, tracker, replies=replies, progress=progress, check=check)
        state, version = "done", made.version
        if isinstance(made, AdaptationReport):
            said = made.outcome
            deleted = () if keep is None else _collected(store, made.domain, keep)
        else:
            said = up_to_date(made)
    except StoreUnavailable as error:
        state, said = _refused(store, lease, error)
    except LeaseError as error:
        state, said = "lost", str(error)
    except Exception as error:
        again = _passes(error) and lease.job.attempts < ATTEMPTS
        state, said = "again" if again else "failed", _line(error)
    job = lease.job
    seconds = time.monotonic() - began
    return Attempt(job.domain, job.number, job.attempts, state, said, version, seconds, deleted)


def perform(
    store: Store,
    lease: Lease,
    tracker: StateTracker,
    *,
    replies: Optional[ReplyLearner] = None,
    by_hand: bool = False,
    progress: Optional[Progress] = None,
    check: Callable[[], None] = lambda: None,
) -> Union[AdaptationReport, AdapterInfo]:
    """Do the job that `lease` is for, and store what came of it; what `adapt` did, or the version
    that is there already.

    One of our own errors would come again, so the job has failed with it; after any other it is
    tried again. If this is interrupted, the job goes back to those that wait. Neither is so
    `by_hand`: who sees the error, or interrupts it, decides. Raises as `adapt`, and LeaseError
    where the job was lost. StoreUnavailable leaves the job its lease, unless `by_hand` and the
    store is there.
    """
    job = lease.job
    with Heartbeat(store, lease) as heartbeat:

        def told(done: int, total: int, loss: float) -> None:
            heartbeat.step(done, total, loss)
            if progress is not None:
                progress(done, total, loss)

        def checked() -> None:
            heartbeat.check()
            check()

        try:
            if not by_hand:
                _note_input(store, lease, tracker, replies)
            if not job.force:
                found = made_already(
                    store, tracker, job.domain, steps=job.inner_steps, replies=replies
                )
                if found is not None:
                    pinned = store.adapters.in_use(job.domain).pinned
                    if job.switch_anyway and not found.active and not pinned:
                        store.jobs.beat(lease)  # raises where the job isn't ours any more
                        store.adapters.activate(job.domain, found.version)
                        found = replace(found, active=True)
                    store.jobs.finish(lease, up_to_date(found))
                    return found
            return adapt(
                store,
                tracker,
                job.domain,
                steps=job.inner_steps,
                replies=replies,
                switch_anyway=job.switch_anyway,
                progress=told,
                check=checked,
                lease=lease,
            )
        except LeaseError:
            raise
        except StoreUnavailable as error:
            if by_hand:
                with suppress(StoreError):
                    store.jobs.fail(lease, str(error), by_hand=True)
            raise
        except Exception as error:
            again = _passes(error) and not by_hand
            store.jobs.fail(lease, _line(error), again=again, by_hand=by_hand)
            raise
        except BaseException:
            with suppress(StoreError):  # then it waits until the lease has lapsed
                if by_hand:
                    store.jobs.fail(lease, "interrupted", by_hand=True)
                else:
                    store.jobs.release(lease)
            raise


def _input_of(
    store: Store, domain: str, tracker: StateTracker, replies: Optional[ReplyLearner]
) -> str:
    """The digest of all that a version of `domain` would be made from now. Raises NotFound,
    StoreError, StoreUnavailable.
    """
    base = None if replies is None else replies.model.digest
    return input_digest(store.dialogues.glance(domain).support_digest, tracker.digest, base)


def _note_input(
    store: Store, lease: Lease, tracker: StateTracker, replies: Optional[ReplyLearner]
) -> None:
    """Keep with the job what it is done with: no worker asks for the same again where it fails, or
    is cancelled. Raises as `_input_of`, and LeaseError.
    """
    digest = _input_of(store, lease.job.domain, tracker, replies)
    if digest != lease.job.input_digest:
        with suppress(StoreBusy):  # at worst it is asked for once more, so nothing waits for it
            store.jobs.note_input(lease, digest)


def _collected(store: Store, domain: str, keep: int) -> Tuple[int, ...]:
    """The old versions that were deleted. The job is done, so that they can't be is no error: they
    go with those after the next job.
    """
    try:
        return store.adapters.collect(domain, keep)
    except StoreError as error:
        logger.warning("old versions of %s stay for now: %s", domain, error)
        return ()


def _refused(store: Store, lease: Lease, error: StoreUnavailable) -> Tuple[str, str]:
    """What came of an attempt that ended in `error`, with a store that is there: out of room, say.
    Done anew at once it would come to the same, so that it counts. Raises StoreUnavailable where
    the store is away.
    """
    store.revision()
    try:
        again = store.jobs.fail(lease, str(error), again=True)
    except LeaseError as lost:
        return "lost", str(lost)
    return "again" if again else "failed", str(error)


def _passes(error: Exception) -> bool:
    """Whether another attempt may do without it."""
    return not isinstance(error, OnrampError)


def up_to_date(info: AdapterInfo) -> str:
    """What is said where there was nothing to adapt, as `info` is there."""
    said = f"up to date, nothing changed since version {info.version} was made"
    if info.active:
        return said
    return f"{said}; it isn't active: rasa-onramp versions activate {info.domain} {info.version}"


def _line(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, OnrampError) else f"{type(error).__name__}: {said}"
