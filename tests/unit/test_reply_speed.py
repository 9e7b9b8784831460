"""bench/reply_speed.py times writing alone: nothing merged, and nothing known of the prompt."""

from __future__ import annotations

from typing import Any, List

import pytest

import reply_speed
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.writing import Updates, Writer
from tiny_replies import prompts, random_updates, shared_tokens, tiny_llama

pytest.importorskip("transformers")


def test_a_batch_is_measured_without_merging_and_reads_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = ReplyModel(tiny_llama(3), shared_tokens(), "tiny")
    some, done = prompts()[:4], []
    merged, recall, clock = ReplyModel.merged, Writer._recall, reply_speed.time.perf_counter

    def merging(self: ReplyModel, weights: Any) -> Any:
        done.append("merged")
        return merged(self, weights)

    def recalling(self: Writer, digest: str, ids: Any) -> Any:
        cache = recall(self, digest, ids)
        done.append(f"known {cache.get_seq_length()}")
        return cache

    def telling() -> float:
        done.append("clock")
        return clock()

    monkeypatch.setattr(ReplyModel, "merged", merging)
    monkeypatch.setattr(Writer, "_recall", recalling)
    monkeypatch.setattr(reply_speed.time, "perf_counter", telling)
    figures = reply_speed.batch(model, some, Updates("some", random_updates(model)), 4)
    assert done.count("merged") == 1 and done.index("merged") < done.index("clock")
    timed: List[str] = []
    counting = False
    for what in done:
        counting = not counting if what == "clock" else counting
        if counting and what != "clock":
            timed.append(what)
    assert timed == ["known 0"] * 4  # one by one; a batch recalls nothing
    assert figures["conversations"] == 4 and figures["one_domain_over_alone"] > 0
