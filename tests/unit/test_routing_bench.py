"""bench/routing_many.py: what it draws, and its figures of messages counted by hand."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

from tiny_tracker import corpus


@pytest.fixture(scope="module")
def bench(repository: Path) -> Iterator[ModuleType]:
    path = repository / "bench" / "routing_many.py"
    spec = importlib.util.spec_from_file_location("routing_many", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["routing_many"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["routing_many"]


def test_support_is_not_asked_and_who_isnt_onboarded_is_out_of_scope(bench: ModuleType) -> None:
    found = corpus(services=4, dialogues=8)
    pool = [
        bench.Service("made up", schema, tuple(d for d in found.dialogues if d.domain == name))
        for name, schema in found.schemas.items()
    ]
    drawn = bench.Draw.of(pool, 3, random.Random(0))
    assert len(drawn.support) == 3
    assert {len(dialogues) for _, dialogues in drawn.support} == {5}
    # three dialogues a service are left to ask
    onboarded = [schema.name for schema, _ in drawn.support]
    assert sorted(str(name) for name, _ in drawn.asked) == sorted([*onboarded * 3, *["None"] * 3])
    with pytest.raises(SystemExit, match="the pool has only 4 services"):
        bench.Draw.of(pool, 4, random.Random(0))


def test_figures_are_those_of_the_messages(bench: ModuleType) -> None:
    messages = [
        bench.Message("a", "a", "a", 0.9),
        bench.Message("a", None, "a", 0.3),
        bench.Message("b", "a", "a", 0.6),
        bench.Message(None, "b", "b", 0.7),
        bench.Message(None, None, "a", 0.2),
    ]
    # of six pairs of a domain's message and a stranger's, four are in the right order
    found = bench.figures(messages, 0.002)
    assert found == pytest.approx(
        {"right": 1 / 3, "best": 2 / 3, "taken": 1 / 2, "auroc": 4 / 6, "ms": 2.0}
    )


def test_a_difference_is_taken_draw_by_draw(bench: ModuleType) -> None:
    ours, theirs = [{"right": 0.5}, {"right": 0.9}], [{"right": 0.4}, {"right": 0.8}]
    assert bench.interval(ours, "right")[0] == pytest.approx(0.7)
    assert bench.interval(ours, "right", theirs) == pytest.approx((0.1, 0.1, 0.1))


def test_the_docs_show_what_was_measured(bench: ModuleType, repository: Path) -> None:
    """After new results: put the table that the bench prints into docs/components/router.md."""
    results = repository / "bench" / "results" / "routing_many.json"
    found = json.loads(results.read_text(encoding="utf-8"))
    page = (repository / "docs" / "components" / "router.md").read_text(encoding="utf-8")
    assert bench.table(found["summary"]) in page
