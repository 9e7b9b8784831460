"""Asking a store that may not answer: one message waits a little for it, and the next ones not at
all until it is back.

A server that was stopped refuses a connection at once. One that is frozen, or behind a network that
loses packets, says nothing, and no driver's time limit covers all of that. So it is asked in a
thread, which is left behind where it takes too long. A file on this machine is asked without.
"""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import Future, TimeoutError
from typing import Callable, Optional, TypeVar

from rasa_onramp.errors import StoreUnavailable
from rasa_onramp.logs import logger_for
from rasa_onramp.store import Store

__all__ = ["Reach"]

logger = logger_for(__name__)

Answer = TypeVar("Answer")

#: How many times as long as for any other answer one waits for much: a thousand domains at once.
_MUCH = 20


class Reach:
    """A store as messages ask it: each waits at most `seconds` for an answer, or longer for one
    that is `much`; after one that isn't `vital`, as long once more for its revision. After it
    couldn't be reached, all are refused at once, while a thread tries every `retry_after` seconds
    whether it is back. Thread-safe.
    """

    def __init__(self, store: Store, seconds: float = 3.0, retry_after: float = 2.0):
        self._store = store
        self.seconds = seconds
        self._retry_after = retry_after
        self._down: Optional[str] = None
        #: Called when the store is back.
        self.when_back: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    @property
    def down(self) -> bool:
        """Whether the store couldn't be reached, and isn't back yet."""
        return self._down is not None

    def refuse_if_down(self) -> None:
        """Raises StoreUnavailable while the store isn't back."""
        down = self._down
        if down is not None:
            raise StoreUnavailable(down)  # raised again, the first one would keep every frame

    def ask(
        self, call: Callable[[Store], Answer], *, much: bool = False, vital: bool = True
    ) -> Answer:
        """What `call` makes of the store, or raises. Raises StoreUnavailable if that takes too
        long; it goes on then, and nobody hears what comes of it. After one that isn't `vital` the
        store is down only if it doesn't tell its revision in time either.
        """
        self.refuse_if_down()
        try:
            if not self._store.remote:
                return call(self._store)
            return self._in_time(call, self.seconds * (_MUCH if much else 1))
        except StoreUnavailable as error:
            if vital:
                self._lose(str(error))
            else:
                self.ask(lambda store: store.revision())
            raise

    def _in_time(self, call: Callable[[Store], Answer], seconds: float) -> Answer:
        answer: Future[Answer] = Future()
        # a new one costs less than a query, and none that hangs is in another's way
        threading.Thread(
            target=_run, args=(call, self._store, answer), name="onramp-store", daemon=True
        ).start()
        try:
            return answer.result(seconds)
        except TimeoutError:
            raise StoreUnavailable(
                f"the store at {self._store.name} hasn't answered for {seconds:g} s; "
                "see that the database runs and that the network is up"
            ) from None

    def _lose(self, said: str) -> None:
        with self._lock:
            if self._down is not None:
                return
            self._down = said
            try:
                threading.Thread(
                    target=_look_for,
                    args=(weakref.ref(self), self._retry_after),
                    name="onramp-store",
                    daemon=True,
                ).start()
            except BaseException:  # nobody would look for it ever again
                self._down = None
                raise

    def _is_back(self) -> bool:
        try:
            self._store.revision()
        except Exception as error:
            self._down = str(error)  # what is wrong now may be something else
            return False
        # as loud as it must be to be seen wherever the outage was
        said = f"the store {self._store.name} is reachable again"
        logger.warning("onramp.store.reachable", event_info=said)
        self._down = None
        self.when_back()
        return True


def _run(call: Callable[[Store], Answer], store: Store, answer: Future[Answer]) -> None:
    try:
        answer.set_result(call(store))
    except BaseException as error:
        answer.set_exception(error)


def _look_for(lost: weakref.ref[Reach], seconds: float) -> None:
    """Try until the store is back, or nobody asks for it any more."""
    while True:
        time.sleep(seconds)
        reach = lost()
        if reach is None or reach._is_back():
            return
        del reach
