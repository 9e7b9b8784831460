"""Threads of a channel's own: how many, who waits, and who is refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import List

import pytest

pytest.importorskip("rasa")

from rasa_onramp.components.threads import Threads
from rasa_onramp.errors import StoreUnavailable
from rasa_onramp.refusals import Refused


def test_what_is_called_comes_back_answer_or_error() -> None:
    threads = Threads("some", 1, 0)

    def fails() -> None:
        raise StoreUnavailable("away")

    async def asked() -> int:
        with pytest.raises(StoreUnavailable, match="away"):
            await threads.run(fails)
        return await threads.run(max, 1, 2)

    assert asyncio.run(asked()) == 2


def test_only_so_many_run_or_wait_and_the_rest_is_refused_at_once() -> None:
    threads, go_on = Threads("some", 2, 1), threading.Event()
    running: List[str] = []

    def waits() -> str:
        running.append(threading.current_thread().name)
        assert go_on.wait(30)
        return "done"

    async def asked() -> List[object]:
        calls = [asyncio.ensure_future(threads.run(waits)) for _ in range(5)]
        while not all(each.done() for each in calls[3:]) or len(running) < 2:
            await asyncio.sleep(0.01)
        assert running == ["some", "some"]
        go_on.set()
        found = await asyncio.gather(*calls, return_exceptions=True)
        return [*found, await threads.run(waits)]

    found = asyncio.run(asked())
    assert found[:3] == ["done"] * 3 and found[5] == "done"
    assert [type(each) for each in found[3:5]] == [Refused, Refused]
    assert str(found[3]) == "too many requests at once; try again"


def test_one_that_hangs_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, threading
from rasa_onramp.components.threads import Threads
async def ask():
    await asyncio.wait({asyncio.ensure_future(Threads("some", 1, 0).run(threading.Event().wait))},
                       timeout=0.1)
asyncio.run(ask())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
