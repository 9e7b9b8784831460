"""A domain's generator is made once, however many conversations ask for it at the same time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import List, Sequence

import pytest
from torch import Tensor

from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.runtime.generators import Generators
from rasa_onramp.store import SupportSet
from servers import wait_for
from tiny_replies import SCHEMA, SUPPORT, embed

SET = SupportSet(SCHEMA, SUPPORT, (), (), "one")
ASKING = 6


class HeldEmbed:
    """Embeds when it may, and fails as often as it is told to; counts the makings of a generator,
    each of which embeds what users say first.
    """

    def __init__(self, failing: int = 0):
        self.may = threading.Event()
        self.begun: List[str] = []
        self._failing = failing

    def __call__(self, texts: Sequence[str]) -> Tensor:
        if texts[0] == SUPPORT[0].turns[0].text:
            self.begun.append(threading.current_thread().name)
        assert self.may.wait(30)
        if self._failing:
            self._failing -= 1
            raise RuntimeError("no memory left")
        return embed(texts)


def ask(pool: ThreadPoolExecutor, generators: Generators, held: HeldEmbed) -> List[Future]:
    """Several ask at once, and all of them have asked before it may be made."""
    asked = threading.Barrier(ASKING + 1)

    def get() -> RetrievalGenerator:
        asked.wait(30)
        return generators.get(SET)

    found = [pool.submit(get) for _ in range(ASKING)]
    asked.wait(30)
    wait_for(lambda: len(held.begun) > 0)
    time.sleep(0.5)
    return found


def test_it_is_made_once_and_all_get_it() -> None:
    held = HeldEmbed()
    generators = Generators(held, limit=2**30)
    with ThreadPoolExecutor(ASKING) as pool:
        waiting = ask(pool, generators, held)
        held.may.set()
        made = [each.result(30) for each in waiting]
    assert len(held.begun) == 1
    assert all(each is made[0] for each in made)
    assert generators.get(SET) is made[0] and len(generators.kept) == 1


def test_nobody_waits_for_another_domains() -> None:
    held = HeldEmbed()
    generators = Generators(held, limit=2**30)
    with ThreadPoolExecutor(ASKING) as pool:
        waiting = ask(pool, generators, held)
        empty = generators.get(SupportSet(SCHEMA, (), (), (), "another"))
        assert empty.pool.replies == () and not any(each.done() for each in waiting)
        held.may.set()
        assert all(each.result(30).pool.replies for each in waiting)


def test_who_waited_hears_why_it_failed_and_the_next_one_gets_it() -> None:
    held = HeldEmbed(failing=1)
    generators = Generators(held, limit=2**30)
    with ThreadPoolExecutor(ASKING) as pool:
        waiting = ask(pool, generators, held)
        held.may.set()
        for each in waiting:
            with pytest.raises(RuntimeError, match="no memory left"):
                each.result(30)
    assert len(held.begun) == 1 and len(generators.kept) == 0
    assert generators.get(SET).pool.replies
    assert len(held.begun) == 2 and len(generators.kept) == 1
