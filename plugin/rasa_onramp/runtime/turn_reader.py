"""Turns of all conversations through one tracker: those that wait meanwhile are read together."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import List, Optional, Tuple

from rasa_onramp.logs import logger_for
from rasa_onramp.tracker.decoding import TurnPrediction
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.together import AskedTurn, track_together

__all__ = ["TurnReader"]

logger = logger_for(__name__)


class TurnReader:
    """Reads turns for any number of threads. One of them reads for all that wait, so a turn that
    comes alone waits for nobody, and no thread of its own is needed.

    `together`: turns of a pass at most; by default 16 on a GPU, and on a CPU, where a pass takes as
    long as its turns one after the other, each thread reads its own.
    """

    def __init__(self, tracker: StateTracker, together: Optional[int] = None):
        self._tracker = tracker
        self._together = together or (1 if tracker.device.type == "cpu" else 16)
        self._waiting: List[Tuple[AskedTurn, Future[TurnPrediction]]] = []
        self._queue = threading.Lock()
        self._reading = threading.Lock()

    def read(self, asked: AskedTurn) -> TurnPrediction:
        """What the tracker makes of a turn. Raises what reading it raises."""
        if self._together == 1:
            return track_together(self._tracker, [asked])[0]
        result: Future[TurnPrediction] = Future()
        with self._queue:
            self._waiting.append((asked, result))
        while not result.done():
            with self._reading:
                if not result.done():
                    self._read_some()
        return result.result()

    def _read_some(self) -> None:
        with self._queue:
            batch = self._waiting[: self._together]
            del self._waiting[: self._together]
        self._answer(batch)

    def _answer(self, batch: List[Tuple[AskedTurn, Future[TurnPrediction]]]) -> None:
        try:
            found = track_together(self._tracker, [asked for asked, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            # one of them may be at fault
            said = f"{len(batch)} turns are read one by one ({error})"
            logger.warning("onramp.turns.one_by_one", event_info=said)
            for one in batch:
                self._answer([one])
            return
        for (_, result), prediction in zip(batch, found):
            result.set_result(prediction)
