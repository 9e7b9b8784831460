"""One thread that writes replies for all conversations: those that wait are written together."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, List, Optional

from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.writing import Updates, Writer
from rasa_onramp.logs import logger_for

__all__ = ["ReplyWorker"]

logger = logger_for(__name__)

#: Replies written together at most; each row more makes the others a little slower.
_TOGETHER = 16

#: Seconds after which a thread without work looks whether its worker is still wanted.
_IDLE = 5.0


@dataclass(frozen=True)
class _Job:
    """`several` is how many texts are wanted to choose from; None for the likeliest one alone."""

    prompt: Packed
    updates: Updates
    until: float
    several: Optional[int] = None
    result: Future[Any] = field(default_factory=Future)


class ReplyWorker:
    """Owns a `Writer`, which is not thread-safe, and takes jobs from any thread.

    What waits while a batch is written makes up the next batch. The thread ends with the process,
    or soon after nobody has the worker any more.
    """

    def __init__(self, writer: Writer, *, seconds: float = 4.0):
        self._writer = writer
        self._seconds = seconds
        self._jobs: queue.Queue[_Job] = queue.Queue()
        self._thread: Optional[threading.Thread] = None
        self._starting = threading.Lock()

    def write(self, prompt: Packed, updates: Updates) -> Optional[str]:
        """The reply's text, or None if it isn't written within the time limit, or can't be.

        Blocks; call it from a thread that may wait.
        """
        text: Optional[str] = self._ask(_Job(prompt, updates, self._limit()))
        return text

    def write_several(self, prompt: Packed, updates: Updates, count: int) -> List[str]:
        """Up to `count` texts to choose from, the likeliest first; see `Writer.write_several`."""
        return self._ask(_Job(prompt, updates, self._limit(), count)) or []

    def _limit(self) -> float:
        return time.monotonic() + self._seconds

    def _ask(self, job: _Job) -> Any:
        self._start()
        self._jobs.put(job)
        try:
            # the writer stops by itself; the rest is for a batch that was begun before
            return job.result.result(timeout=self._seconds + 1)
        except Exception as error:
            job.result.cancel()
            said = f"no reply was written ({type(error).__name__}: {error})"
            logger.error("onramp.reply.unwritten", event_info=said)
            return None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=_work,
                    args=(self._jobs, weakref.ref(self)),
                    name="onramp-replies",
                    daemon=True,
                )
                self._thread.start()

    def _write(self, batch: List[_Job]) -> None:
        now = time.monotonic()
        batch = [job for job in batch if job.result.set_running_or_notify_cancel()]
        for job in (job for job in batch if job.until <= now):
            job.result.set_result(None)
        batch = [job for job in batch if job.until > now]
        self._answer([job for job in batch if job.several is None])
        for job in (job for job in batch if job.several is not None):
            self._choose(job)

    def _choose(self, job: _Job) -> None:
        try:
            left = job.until - time.monotonic()
            found = self._writer.write_several(
                job.prompt, job.updates, job.several or 1, seconds=left
            )
            job.result.set_result(found)
        except Exception as error:
            job.result.set_exception(error)

    def _answer(self, batch: List[_Job]) -> None:
        if not batch:
            return
        try:
            texts = self._writer.write(
                [job.prompt for job in batch],
                [job.updates for job in batch],
                # one that has waited long has few seconds left; the others shouldn't
                seconds=max(job.until for job in batch) - time.monotonic(),
            )
        except Exception as error:
            if len(batch) == 1:
                batch[0].result.set_exception(error)
                return
            # one of them may be at fault, or all together take too much memory
            said = f"{len(batch)} replies are written one by one ({error})"
            logger.warning("onramp.replies.one_by_one", event_info=said)
            for job in batch:
                self._answer([job])
            return
        for job, text in zip(batch, texts):
            job.result.set_result(text)


def _work(jobs: queue.Queue[_Job], owner: weakref.ref[ReplyWorker]) -> None:
    """Write what waits; a worker, and the model that it has, aren't kept for its thread's sake."""
    while True:
        try:
            batch = [jobs.get(timeout=_IDLE)]
        except queue.Empty:
            if owner() is None:
                return
            continue
        while len(batch) < _TOGETHER:
            try:
                batch.append(jobs.get_nowait())
            except queue.Empty:
                break
        worker = owner()
        if worker is None:
            return
        worker._write(batch)
        del worker, batch  # an error of a job's holds the frames that it went through
