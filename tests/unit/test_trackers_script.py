"""scripts/trackers.py: merging updates changes no answer; averages are averages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from rasa_onramp.tracker.batch import collate
from rasa_onramp.tracker.prompt import build_prompt
from rasa_onramp.tracker.schema_prompt import build_schema
from tiny_tracker import CAFE, bookings, in_one_pass, tiny_tracker


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("trackers", repository / "scripts/trackers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_merged_tracker_scores_as_before(script: ModuleType) -> None:
    tracker = tiny_tracker(rank=2, steps=2)
    for name in tracker.weights:
        if ".lora_" in name:
            tracker.weights[name] = torch.randn_like(tracker.weights[name]) * 0.2
    turns = bookings(1)[0].turns
    schema = build_schema(tracker.tokens, CAFE)
    batch = collate([build_prompt(tracker.tokens, schema, turns, asked=(0,), known=({},))])
    with torch.no_grad():
        before = in_one_pass(tracker, batch).start
        merged = script.merged(tracker)
        assert not merged.rates and not [n for n in merged.weights if ".lora_" in n]
        torch.testing.assert_close(in_one_pass(merged, batch).start, before, rtol=1e-4, atol=1e-4)


def test_averages(script: ModuleType) -> None:
    one, two = tiny_tracker(seed=0, rank=2, steps=1), tiny_tracker(seed=1, rank=2, steps=1)
    name = "start_query.weight"
    wanted = (one.weights[name] + two.weights[name]) / 2
    layer = "encoder.layer.0.attention.self.query.weight"
    body = (one.encoder.state_dict()[layer] + two.encoder.state_dict()[layer]) / 2
    one.rates[name], two.rates[name] = torch.tensor([1e-4]), torch.tensor([1e-2])
    made = script.averaged([one, two])
    torch.testing.assert_close(made.weights[name], wanted)
    torch.testing.assert_close(made.encoder.state_dict()[layer], body)
    torch.testing.assert_close(made.rates[name], torch.tensor([1e-3]))


def test_fresh_updates_change_nothing_and_are_the_same_every_time(script: ModuleType) -> None:
    tracker, again = tiny_tracker(seed=0), tiny_tracker(seed=0)
    turns = bookings(1)[0].turns
    schema = build_schema(tracker.tokens, CAFE)
    batch = collate([build_prompt(tracker.tokens, schema, turns, asked=(0,), known=({},))])
    with torch.no_grad():
        before = in_one_pass(tracker, batch).start
        assert torch.equal(in_one_pass(script.with_updates(tracker), batch).start, before)
    updates = [name for name in tracker.weights if ".lora_" in name]
    assert updates
    script.with_updates(again)
    assert all(torch.equal(tracker.weights[name], again.weights[name]) for name in updates)
