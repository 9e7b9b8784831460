"""Threads of a channel's own: what waits for the store there is in no message's way."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, Callable, TypeVar

from rasa_onramp.refusals import Refused

__all__ = ["Threads"]

Answer = TypeVar("Answer")


class Threads:
    """Does `count` calls at once while at most `waiting` others wait for their turn.

    The threads are daemons: one that a frozen database holds doesn't keep the bot from stopping.
    """

    def __init__(self, name: str, count: int, waiting: int):
        self._name = name
        self._room = threading.Semaphore(count + waiting)
        self._turn = threading.Semaphore(count)

    async def run(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """What `call` returns or raises. Raises Refused at once if too many wait already."""
        if not self._room.acquire(blocking=False):
            raise _too_many()
        answer: Future[Answer] = Future()
        # a new one costs less than a query, and a fork leaves none behind
        thread = threading.Thread(
            target=self._do, args=(answer, call, *arguments), name=self._name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no thread to be had
            self._room.release()
            raise _too_many() from None
        return await asyncio.wrap_future(answer)

    def _do(self, answer: Future[Answer], call: Callable[..., Answer], *arguments: Any) -> None:
        try:
            with self._turn:
                if not answer.set_running_or_notify_cancel():  # who asked has hung up
                    return
                try:
                    result = call(*arguments)
                except BaseException as error:
                    answer.set_exception(error)
                else:
                    answer.set_result(result)
        finally:
            self._room.release()


def _too_many() -> Refused:
    return Refused("too many requests at once; try again", HTTPStatus.SERVICE_UNAVAILABLE)
