"""Keeping a job's lease while the job is done, in a thread, and telling how far it is."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Optional, Tuple, Type

from rasa_onramp.errors import LeaseError, StoreError
from rasa_onramp.logs import Seldom
from rasa_onramp.store import Lease, Store

__all__ = ["Heartbeat"]

logger = logging.getLogger(__name__)

#: Progress is stored no more often than this.
PROGRESS_SECONDS = 1.0
#: Heartbeats in the time of a lease: one or two may come to nothing.
BEATS = 4

Progress = Tuple[int, int, float]  # steps done, steps in all, loss


class Heartbeat:
    """While in its block, a thread says that the lease's owner lives.

    A store that can't be reached is tried again; the lease may lapse meanwhile. Where the job isn't
    the lease's any more, `step` and `check` raise, so that no more time is spent on it.
    """

    def __init__(self, store: Store, lease: Lease):
        self._store = store
        self._lease = lease
        self._every = lease.seconds / BEATS
        self._progress: Optional[Progress] = None
        self._lost: Optional[LeaseError] = None
        self._saying = Seldom()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="onramp-heartbeat", daemon=True)

    def step(self, done: int, total: int, loss: float) -> None:
        """So many steps are done. Raises LeaseError if the job was lost."""
        self.check()
        self._progress = (done, total, loss)

    def check(self) -> None:
        """Raises LeaseError if the job was lost."""
        if self._lost is not None:
            raise self._lost

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        stored: Optional[Progress] = None
        beaten = time.monotonic()
        while not self._over.wait(min(PROGRESS_SECONDS, self._every)):
            progress = self._progress
            if progress == stored and time.monotonic() - beaten < self._every:
                continue
            try:
                self._beat(progress)
            except LeaseError as lost:
                self._lost = lost
                return
            except StoreError as error:
                if self._saying.due(str(error)):
                    logger.warning("no heartbeat for %s: %s", self._lease.job.domain, error)
                continue
            stored, beaten = progress, time.monotonic()

    def _beat(self, progress: Optional[Progress]) -> None:
        if progress is None:
            self._store.jobs.beat(self._lease)
        else:
            done, total, loss = progress
            self._store.jobs.beat(self._lease, step=done, total=total, loss=loss)
