"""A process that adapts what changed in a store, beside any number of others on other machines."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Callable, Collection, Dict, Optional, TypeVar

from rasa_onramp.errors import LeaseError, StoreBusy, StoreUnavailable
from rasa_onramp.onboarding.jobs import Attempt, attempt, this_process
from rasa_onramp.onboarding.replies import ReplyLearner
from rasa_onramp.onboarding.watch import Watch
from rasa_onramp.store import LEASE_SECONDS, POLL_SECONDS, Lease, Store
from rasa_onramp.tracker.model import StateTracker

__all__ = ["Worker"]

#: How long a worker waits for a database that is away: at first, and at most.
_PAUSES = (1.0, 30.0)
#: How soon it finds out that it is to stop.
_NAP = 0.2

Event = Dict[str, Any]
Result = TypeVar("Result")


class _Stopped(BaseException):
    """The worker is to stop. Not an Exception, so that no job counts as failed for it."""


class Worker:
    """Takes one job after the other: those that were asked for, and those it finds itself.

    `on_event` gets an event, fit for JSON, whenever there is something to say: each attempt at a
    job is one. `domains` are the only ones that it takes, `seconds` is what its leases last, `keep`
    how many versions of a domain stay when it has made one, as `attempt` has it.
    """

    def __init__(
        self,
        store: Store,
        tracker: StateTracker,
        *,
        replies: Optional[ReplyLearner] = None,
        domains: Optional[Collection[str]] = None,
        poll: float = POLL_SECONDS,
        seconds: float = LEASE_SECONDS,
        keep: Optional[int] = None,
        on_event: Callable[[Event], None] = lambda event: None,
    ):
        self._store = store
        self._tracker = tracker
        self._replies = replies
        self._domains = domains
        self._poll = poll
        self._seconds = seconds
        self._keep = keep
        self._on_event = on_event
        self._owner = this_process()
        self._watch = Watch(store, tracker, replies=replies, domains=domains)
        self._stopping = self._once = False

    def run(self, *, once: bool = False) -> int:
        """Work until `stop`, or with `once` until no job is due. Returns how many attempts failed.

        While the database is away this waits for it, ever longer. Raises StoreUnavailable with
        `once`, where it is away for longer than a lease lasts.
        """
        self._once, failed = once, 0
        self._tell("started", store=self._store.name)
        try:
            while not self._stopping:
                lease = self._patiently(self._next)
                if lease is not None:
                    done = self._do(lease)
                    failed += done is not None and done.failed
                elif once:
                    break
                else:
                    self._sleep(self._poll)
        except _Stopped:
            pass
        self._tell("stopped", failed=failed)
        return failed

    def stop(self) -> None:
        """Stop soon; a signal handler may say so. A job is given back after the inner step, or the
        few held-out dialogues, that it is at; one that is measured is stored first.
        """
        self._stopping = True

    def _next(self) -> Optional[Lease]:
        """The job that is due for longest; what changed is looked for where none is."""
        lease = self._claim()
        if lease is None:
            self._watch.look()
            lease = self._claim()
        return lease

    def _claim(self) -> Optional[Lease]:
        return self._store.jobs.claim(self._owner, seconds=self._seconds, domains=self._domains)

    def _do(self, lease: Lease) -> Optional[Attempt]:
        job = lease.job
        try:
            done = attempt(
                self._store,
                lease,
                self._tracker,
                replies=self._replies,
                keep=self._keep,
                progress=self._after_step,
                check=self._check,
            )
        except _Stopped:
            self._tell("job", domain=job.domain, job=job.number, state="given back")
            raise
        except StoreUnavailable as error:
            self._tell(
                "job", domain=job.domain, job=job.number, state="given back", said=str(error)
            )
            with suppress(LeaseError):  # who took it over meanwhile, may have it
                self._patiently(lambda: self._store.jobs.release(lease))
            return None
        self._tell("job", **done.as_dict())
        return done

    def _after_step(self, done: int, total: int, loss: float) -> None:
        self._check()

    def _check(self) -> None:
        if self._stopping:
            raise _Stopped

    def _patiently(self, call: Callable[[], Result]) -> Result:
        """What `call` gives, however long the database is away; for `once` see `run`."""
        pause, longest = _PAUSES
        until = time.monotonic() + self._seconds
        away = False
        while True:
            try:
                result = call()
            except StoreUnavailable as error:
                if not away:
                    busy = isinstance(error, StoreBusy)
                    self._tell("store busy" if busy else "store away", said=str(error))
                away = True
                if self._once and time.monotonic() + pause > until:
                    raise
                self._sleep(pause)
                pause = min(2 * pause, longest)
            else:
                if away:
                    self._tell("store back")
                return result

    def _sleep(self, seconds: float) -> None:
        # in short naps, as a handler can't safely wake a thread that waits for an Event
        until = time.monotonic() + seconds
        while not self._stopping:
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _NAP))
        raise _Stopped

    def _tell(self, event: str, **more: Any) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._on_event({"time": now, "event": event, "worker": self._owner, **more})
