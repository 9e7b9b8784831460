"""bench/routing_many.py and bench/routing.py: what they ask, and figures counted by hand."""

from __future__ import annotations

import importlib.util
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

import routing
from rasa_onramp.dialogue import Corpus, Dialogue
from result_tables import Grid
from result_tables.routing import many, own
from tiny_tracker import booking, corpus, user


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


def test_held_out_messages_are_asked_and_support_is_not() -> None:
    (schema,) = corpus(services=1).schemas.values()
    stranger = user("what is the weather like", None)
    dialogues = [
        replace(booking(1), split="support"),
        replace(booking(2), split="held-out"),
        Dialogue("three", schema.name, (user("a table", {}), stranger), split="held-out"),
    ]
    asked = routing.messages([Corpus({schema.name: schema}, tuple(dialogues))], None)
    said = [turn.text for turn in dialogues[1].turns if turn.is_user]
    assert [text for _, text in asked.openings] == [said[0], "a table"]
    assert [text for _, text in asked.later] == said[1:]
    assert (asked.strangers, asked.foreign) == (("what is the weather like",), ())


def test_tables_by_hand() -> None:
    figures = {
        "right": [0.5, 0, 1],
        "best": [0.75, 0, 1],
        "taken": [0.25, 0, 1],
        "auroc": [1, 1, 1],
    }
    minus = {key: [0.0, -0.125, 0.25] for key in figures}
    found = {
        "settings": {"seeds": 2, "pool": {"ours": ["a", "b"], "SGD": ["c"]}},
        "summary": [
            {"domains": 5, "method": "plain", **figures},
            {"domains": 5, "method": "matching", **figures, "minus plain": minus},
        ],
    }
    assert many([found]) == Grid(
        ("domains", "space", "right", "best", "taken", "AUROC"),
        (
            ("5", "plain", "0.500", "0.750", "0.250", "1.000"),
            (
                "5",
                "matching",
                *(f"{v} [-0.125, +0.250]" for v in ("0.500", "0.750", "0.250", "1.000")),
            ),
        ),
        "(2 draws of 3 domains: 2 of ours, 1 of SGD)",
    )
    kinds = {"openings": {"messages": 4, "right": 0.5}, "switches": {"messages": 2, "right": 1.0}}
    assert own([{"summary": [{"method": "plain", "kinds": kinds}]}]) == Grid(
        ("right on", "openings (4)", "switches (2)"), (("plain", "0.500", "1.000"),)
    )
