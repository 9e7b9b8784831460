"""What stays in memory, by bytes."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from sys import getsizeof
from typing import Any, List

import numpy
import pytest
import torch

from rasa_onramp.memory import LastUsed, bytes_of


def kept(cache: LastUsed) -> str:
    return "".join(cache.recent())


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: LastUsed[str, str] = LastUsed(10)
    for key in "abc":
        cache.put(key, key.upper(), 3)
    assert cache.get("a") == "A"
    cache.put("d", "D", 3)
    assert (kept(cache), cache.bytes, len(cache)) == ("cad", 9, 3)
    assert cache.get("b") is None
    cache.put("c", "new", 7)  # in place of the old one, and d was used after a
    assert (kept(cache), cache.bytes, cache.get("c")) == ("dc", 10, "new")


def test_the_last_one_stays_however_large_it_is() -> None:
    cache: LastUsed[str, str] = LastUsed(10)
    cache.put("a", "A", 4)
    cache.put("b", "B", 11)
    assert (kept(cache), cache.bytes) == ("b", 11)
    cache.put("c", "C", 1)
    assert (kept(cache), cache.bytes) == ("c", 1)


def test_room_is_made_before_something_comes() -> None:
    cache: LastUsed[str, str] = LastUsed(10)
    for key in "abc":
        cache.put(key, key, 3)
    cache.make_room(1)
    assert kept(cache) == "abc"
    cache.make_room(5)
    assert (kept(cache), cache.bytes) == ("c", 3)
    assert (cache.pop("c"), cache.pop("c"), cache.bytes) == ("c", None, 0)


def test_threads_dont_lose_count() -> None:
    cache: LastUsed[int, int] = LastUsed(500)
    failed: List[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(3000):
                key = rng.randrange(40)
                found = cache.get(key)
                assert found in (None, key)
                if rng.random() < 0.1:
                    cache.pop(key)
                else:
                    cache.put(key, key, 1 + key)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert cache.bytes == sum(1 + key for key in cache.recent()) <= 500


@dataclass
class Holder:
    rows: Any
    name: str = "holder"


def test_memory_that_is_shared_counts_once() -> None:
    rows = torch.zeros(1000, 4)
    once = bytes_of(rows)
    assert once == 16_000
    held = {"a": rows, "b": [rows[0], (rows[1:],)], "c": Holder(rows)}
    assert once < bytes_of(held) < once + 2000
    array = numpy.zeros((500, 4))
    assert 16_000 < bytes_of([array, array[:3], array]) < 16_500


def test_texts_and_what_objects_hold_count() -> None:
    text = "x" * 10_000
    assert bytes_of(text) == getsizeof(text)
    assert bytes_of(Holder([text, text], text)) == pytest.approx(10_000, rel=0.1)
    assert bytes_of(torch.nn.Linear(100, 100)) > 40_000
    big = torch.zeros(1000)
    assert bytes_of([lambda: big, len, Holder]) < 200  # what can be called isn't ours alone


def test_a_circle_is_no_trap() -> None:
    circle: List[Any] = [torch.zeros(8)]
    circle.append(circle)
    assert bytes_of(circle) < 400


def test_all_may_go_at_once() -> None:
    cache: LastUsed[str, str] = LastUsed(10)
    cache.put("a", "A", 4)
    cache.clear()
    assert (kept(cache), cache.bytes, cache.get("a")) == ("", 0, None)
    cache.put("b", "B", 10)
    assert (kept(cache), cache.bytes) == ("b", 10)
