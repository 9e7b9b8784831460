"""bench/rasa_overhead.py: who is timed on what."""

from __future__ import annotations

import random
from typing import List

import pytest

pytest.importorskip("rasa")

import rasa_overhead
from load_parts.scripts import own_talks
from rasa_onramp.errors import ConfigError


def test_both_are_timed_on_the_same_messages_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [0.0], []

    def bot(name: str, seconds: float) -> object:
        def say(text: str) -> None:
            said.append((name, text))
            now[0] += seconds

        return say

    monkeypatch.setattr(rasa_overhead.time, "perf_counter", lambda: now[0])
    without, with_us = rasa_overhead.timed(bot("plain", 0.25), bot("ours", 0.5), ["a", "b"])
    assert (without, with_us) == ([250.0, 250.0], [500.0, 500.0])
    assert said == [("plain", "a"), ("ours", "a"), ("plain", "b"), ("ours", "b")]
    assert rasa_overhead.both((without, with_us)) == {
        "without": {"p50": 250.0, "p95": 250.0, "turns": 2},
        "with": {"p50": 500.0, "p95": 500.0, "turns": 2},
    }


def test_no_message_comes_twice() -> None:
    """What was embedded once isn't embedded again, so it would look cheaper than it is."""
    talks = rasa_overhead.drawn(own_talks(), random.Random(0), 200)
    texts = [text for talk in talks for text in talk]
    assert len(texts) >= 200 and len(set(texts)) == len(texts)

    said: List[List[str]] = [["a", "b"], ["c"], ["d", "e"]]
    assert rasa_overhead.enough(said, 3) == said[:2]
    assert rasa_overhead.enough(said, 5) == said
    with pytest.raises(ConfigError, match="the dialogues have 5 messages; lower --turns"):
        rasa_overhead.enough(said, 6)
