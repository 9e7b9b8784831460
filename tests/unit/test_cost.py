"""bench/cost.py's instruments are right, and its tables show what they measured."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import List

import pytest
import torch

from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.tracker.attention import attend
from result_tables import Grid
from result_tables.cost import TABLE, domains, lacks
from tiny_tracker import CAFE, bookings, tiny_tracker


@pytest.fixture(scope="module")
def cost(repository: Path) -> ModuleType:
    return importlib.import_module("cost")


@pytest.fixture(scope="module")
def measures(repository: Path) -> ModuleType:
    return importlib.import_module("cost_measures")


@pytest.fixture(scope="module")
def cost_sizes(repository: Path) -> ModuleType:
    return importlib.import_module("cost_sizes")


@pytest.fixture(scope="module")
def cost_domains(repository: Path) -> ModuleType:
    return importlib.import_module("cost_domains")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_of_the_work_alone(measures: ModuleType) -> None:
    torch.ones(2**25)  # 128 MB that are gone again
    assert measures.peak_mb(lambda: None) < 16
    assert 60 < measures.peak_mb(lambda: torch.ones(2**24)) < 100


def test_arithmetic_is_counted_and_set_against_time(cost: ModuleType) -> None:
    told: List[None] = []
    a = torch.randn(64, 64)

    def bare() -> float:
        a @ a
        return 0.5

    figures = cost.beside_bare(lambda: a @ a, bare, 3, lambda: told.append(None))
    assert figures["gflop"] == round(2 * 64**3 / 1e9, 1)
    assert figures["bare_s"] == [0.5] * 3 and len(figures["adapt_s"]) == len(told) == 3
    assert figures["over_bare"] < 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_counted(measures: ModuleType, dtype: torch.dtype) -> None:
    """Two products forward; backward four, and the fused kernel's scores once more."""
    query, key, value = (torch.randn(2, 4, 64, 32, dtype=dtype).requires_grad_() for _ in range(3))
    mask = torch.ones(2, 1, 64, 64, dtype=torch.bool)
    with measures.Counting() as counter:
        attend(query, key, value, mask, plain=False).sum().backward()
    product = 2 * 2 * 4 * 64 * 64 * 32
    assert counter.operations == product * (7 if dtype == torch.float32 else 6)


def test_a_ceiling_is_some_rate(measures: ModuleType) -> None:
    assert 1e6 < measures.ceiling(torch.float32, size=64, repeats=2) < 1e15


def test_encoders_of_other_sizes_adapt_and_track(
    cost_sizes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = tiny_tracker(rank=2, steps=2)
    small = tracker.encoder.config
    known = {"as it is": small, "twice as deep": replace(small, num_hidden_layers=4)}
    monkeypatch.setattr(cost_sizes, "SIZES", known)
    whole, deep = cost_sizes.sizes(tracker, (CAFE, tuple(bookings(8))), 2, lambda: None)
    assert whole["parameters"] == sum(p.numel() for p in tracker.encoder.parameters())
    assert deep["parameters"] > whole["parameters"] and deep["adapter_kb"] > whole["adapter_kb"]
    assert len(whole["adapt_s"]) == 2 and whole["turn_p50_ms"] > 0


def test_a_meta_gradient_is_counted_and_leaves_the_tracker_as_it_was(
    cost_sizes: ModuleType,
) -> None:
    tracker = tiny_tracker(rank=2, steps=2)
    before = {name: value.clone() for name, value in tracker.weights.items()}
    domain = (CAFE, tuple(bookings(8)))
    first, second = cost_sizes.meta_training(tracker, domain, 2, lambda: None)
    assert (first["order"], second["order"]) == (1, 2)
    # a gradient of a gradient's arithmetic is more than the gradient's own
    assert second["gflop"] > 1.5 * first["gflop"] > 0 and len(first["seconds"]) == 2
    assert not any(p.requires_grad for p in tracker.encoder.parameters())
    assert all(torch.equal(before[name], value) for name, value in tracker.weights.items())


def test_the_cache_of_adapters_is_bounded(
    cost_domains: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_domains, "MEGABYTE", 2**13)  # so that the tiny ones don't all fit
    tracker = tiny_tracker(rank=2)
    weights = adapter_to_bytes(tracker.weights)
    domains = list(cost_domains.copies([(CAFE, bookings(6))], 20))
    assert len({schema.name for schema, _ in domains}) == 20
    few, many = (cost_domains.cache_figures(tracker, domains[:n], weights) for n in (4, 20))
    assert few["cached_domains"] == 4 < many["cached_domains"] < 20
    assert 0 < few["cache_mb"] < many["cache_mb"] <= 256


def test_tables_by_hand() -> None:
    machine = {
        "threads": 1,
        "torch": "2.x",
        "precision": "bf16",
        "ceiling_gflop_s": {"fp32": 100.0, "bf16": 800.0},
    }
    figures = {
        "inner_steps": 32,
        "adapt_s": [3.0, 2.0, 1.0],
        "bare_s": [1.0, 1.0, 2.0],
        "over_bare": 2.0,
        "gflop": 160.0,
        "gflop_s": 80.0,
    }
    steps = [{"steps": 4, "seconds": 1.25, "peak_mb": None}]
    found = {
        "adapting": {"machine": machine, "figures": figures},
        "steps": {"machine": machine, "figures": steps},
    }
    shown = {part.name: content for part, content in TABLE.shown([found])}
    assert shown == {
        "cost-steps": Grid(
            ("inner steps", "seconds", "peak memory, MB"),
            (("4", "1.2", ""),),
            "(1 thread, torch 2.x, tracker in bf16; a large matrix product then reached 800 "
            "GFLOP/s)",
        ),
        "cost-adapting": shown["cost-adapting"],
    }
    assert shown["cost-adapting"].rows == (
        ("tracker", "32", "2.0", "1.0", "2.00", "160", "80", "800 (bf16; fp32 100)", "10%"),
    )
    assert lacks([found]) == ["support", "sizes", "replies", "meta", "domains"]


def test_what_an_earlier_cache_held_is_not_shown() -> None:
    figures = ("embed_ms", "route_p50_ms", "index_mb", "cached_domains", "cache_mb", "miss_p50_ms")
    row = {"domains": 1, **dict.fromkeys(figures, 1)}
    machine = {
        "threads": 1,
        "torch": "2.x",
        "precision": "bf16",
        "ceiling_gflop_s": {"fp32": 1, "bf16": 1},
    }
    found = {"domains": {"machine": machine, "figures": [row]}}
    assert domains([found]) is None and "domains" in lacks([found])
    row["cache_limit_mb"] = 256
    assert domains([found]) is not None and "domains" not in lacks([found])
