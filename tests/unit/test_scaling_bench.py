"""bench/many_stores.py, routing_scale.py and capacity.py: what they draw and count, by hand."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Dict

import pytest
import torch
from torch.nn import functional as F

import capacity
import many_stores
import routing_scale
from rasa_onramp.runtime.background import Background, load_background
from rasa_onramp.runtime.domain_index import DomainIndex
from tiny_tracker import CAFE, bookings


def test_variants_differ_and_their_marks_hold() -> None:
    base = [(CAFE, bookings(7)), (replace(CAFE, name="other"), bookings(7, "other"))]
    found = many_stores.variants(base, 5)
    assert len({schema.name for schema, _ in found}) == 5
    assert len({dialogues[0].turns[0].text for _, dialogues in found}) == 3  # two domains a company
    for schema, dialogues in found:
        assert {dialogue.domain for dialogue in dialogues} == {schema.name}
        assert [d.split for d in dialogues] == ["support"] * 5 + ["held-out"]
        for dialogue, original in zip(dialogues, bookings(7)):
            for turn, before in zip(dialogue.turns, original.turns):
                assert turn.text.startswith(before.text)
                assert [turn.text[s.start : s.end] for s in turn.spans] == [
                    before.text[s.start : s.end] for s in before.spans
                ]
    assert len(set(many_stores.companies())) == 81


def test_traffic_follows_zipfs_law() -> None:
    asked = capacity.zipf(1000, 1.0, 200_000).tolist()
    harmonic = sum(1 / rank for rank in range(1, 1001))
    for rank in (1, 2, 10):
        assert asked.count(rank - 1) / len(asked) == pytest.approx(1 / rank / harmonic, rel=0.06)
    assert max(asked) < 1000
    even = capacity.zipf(1000, 0.0, 100_000)
    shares = capacity.shared_out(even, 5)
    assert sum(map(len, shares)) == len(even)
    assert all(len(share) == pytest.approx(20_000, rel=0.1) for share in shares)
    assert not set(shares[0]) & set(shares[1])


def test_hits_are_those_of_the_domains_that_fit() -> None:
    asked = capacity.zipf(10, 0.0, 20_000).tolist()
    assert capacity.hit_rate(asked, limit=100, size=10) == 1.0
    # of domains that are drawn evenly, as many are met as are in memory
    assert capacity.hit_rate(asked, limit=49, size=10) == pytest.approx(0.4, abs=0.02)
    assert capacity.hit_rate([0, 1] * 50, limit=10, size=10) == 0.0


def test_a_plan_by_hand() -> None:
    names: Dict[str, float] = dict.fromkeys(capacity.Costs.__dataclass_fields__, 0.0)
    costs = capacity.Costs(
        **{
            **names,
            "turn_ms": 30.0,
            "reply_ms": 1000.0,
            "written": 0.25,
            "miss_ms": 100.0,
            "ready_mb": 1024.0,
            "adapter_mb": 2.0,
            "live_mb": 1.0,
            "stored_mb": 4.0,
            "start_ms": 60.0,
            "adapt_s": 86.4,
            "revision_ms": 0.5,
            "import_ms": 20.0,
            "turn_gflop": 2.0,
        }
    )
    options = argparse.Namespace(
        domains=2000,
        turns=100,
        cores=28,
        busy=0.5,
        partition_gb=2.0,
        gpu_tflops=100,
        gpu_share=0.1,
        seconds=20,
    )
    found = capacity.plan(costs, options)
    assert found["cores"] == {"tracking": 6, "writing replies": 50}
    assert (found["machines"], found["domains_a_machine"]) == (2, 1000)
    assert (found["live_gb_a_machine"], found["live_gb_all"]) == (1.0, 2.0)
    assert found["start_minutes_a_machine"] == 1.0
    assert (found["stored_gb"], found["partitions"]) == (8, 4)
    assert (found["revision_cores"], found["changes_a_second_a_store"]) == (0.1, 50.0)
    assert found["core_days_to_adapt"] == 2.0
    # 10 TFLOP/s over 2 GFLOP a turn
    assert found["gpu"]["turns_a_second_each"] == 5000
    assert found["gpu"]["cards_for_tracking"] == 1
    small, large = found["caches"][0], found["caches"][3]
    assert (small["domains_in_memory"], large["domains_in_memory"]) == (16, 1024)
    assert 0 < small["hit_rate"] < large["hit_rate"] < 1
    assert small["read_mb_a_second"] == pytest.approx(2 * small["misses_a_second"], abs=2)
    assert small["cores"] == pytest.approx(0.1 * small["misses_a_second"] / 0.5, abs=1)


def test_costs_are_means(repository: Path, tmp_path: Path) -> None:
    """A median times the number of turns isn't what they take together."""
    for name in ("cost", "replies_own_domains"):
        shutil.copy(repository / "bench" / "results" / f"{name}.json", tmp_path)
    store = {"domains": 10, "start_mb": 1.0, "start_s": 1.0, "database_mb": 1.0}
    more = {name: 3 * value for name, value in store.items()}
    many = {
        "stores": [store, {**more, "message_p50_ms": 5.0, "message_mean_ms": 7.0}],
        "plans": [{"step": step, "ms": 2.0} for step in ("message", "importing a dialogue")],
        "miss_p50_ms": 50.0,
        "miss_mean_ms": 60.0,
        "adapter_mb": 2.0,
        "turn_gflop": 1.0,
    }
    (tmp_path / "many_domains.json").write_text(json.dumps(many), encoding="utf-8")
    speed = {"settings": {"threads": 2}, "ours_p50_s": 0.5}
    (tmp_path / "reply_speed.json").write_text(json.dumps(speed), encoding="utf-8")
    with pytest.raises(SystemExit, match="no ours_mean_s; measure again"):
        capacity.Costs.read(tmp_path)
    speed = {**speed, "ours_mean_s": 0.75}
    (tmp_path / "reply_speed.json").write_text(json.dumps(speed), encoding="utf-8")
    costs = capacity.Costs.read(tmp_path)
    assert (costs.turn_ms, costs.miss_ms, costs.reply_ms) == (7.0, 60.0, 1500.0)


def test_shortlists_are_judged_by_comparing_with_all() -> None:
    draw = torch.Generator().manual_seed(0)
    vocabulary = load_background().vocabulary
    nothing = (vocabulary.words([]),) * 2
    centres = F.normalize(torch.randn(20, 16, generator=draw), dim=1)
    background = Background(torch.zeros(16), centres, vocabulary)
    vectors = torch.stack(
        [
            DomainIndex(*(row[None],) * 4, nothing, background).stand_ins()
            for row in F.normalize(torch.randn(30, 16, generator=draw), dim=1)
        ]
    )
    mixed = routing_scale.mixtures(vectors, 400, draw)
    assert mixed.shape == (400, 2, 17)
    assert len(torch.unique(mixed[:, 0, 0])) == 400
    asked = F.normalize(torch.randn(40, 16, generator=draw), dim=1)
    (row,) = routing_scale.speed(vectors, asked, [400])
    assert row["domains"] == 400 and row["mb"] == pytest.approx(400 * 2 * 17 * 4 / 2**20, abs=0.1)
    assert 0.9 < row["found"] <= 1
    assert row["product_ms"] > 0 and row["groups_ms"] > 0
