"""bench/routing_many.py and bench/routing.py: what they ask, and figures counted by hand."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Iterator, List

import pytest
import torch

import router_weights
import routing
from rasa_onramp.dialogue import Corpus, Dialogue
from result_tables import Grid
from result_tables.routing import many, own
from tiny_tracker import booking, corpus, user, write_domains


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


def test_the_probe_learns_first_messages_and_takes_everything(bench: ModuleType) -> None:
    """Each service's users say its name first, then nothing that tells it."""
    pool = []
    for name in ("a", "b", "c"):
        schema = replace(corpus(services=1, dialogues=1).schemas["TableBooking_1"], name=name)
        turns = (user(f"{name}?", {}), user("well", {}))
        talks = tuple(Dialogue(f"{name}{number}", name, turns) for number in range(8))
        pool.append(bench.Service("made up", schema, talks))
    drawn = bench.Draw.of(pool, 2, random.Random(0))

    def embed(texts: List[str]) -> torch.Tensor:
        return torch.tensor([[float(f"{letter}?" in text) for letter in "abc"] for text in texts])

    messages, seconds = bench.probed(drawn, embed)
    own = [m for m in messages if m.wanted is not None]
    assert len(own) == 6 and all(m.found == m.wanted for m in own)
    told = bench.figures(messages, seconds)
    assert (told["right"], told["taken"], told["auroc"]) == (1.0, 1.0, 1.0)


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
        ("domains", "router's space, or peer", "right", "best", "taken", "AUROC"),
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


def test_a_folder_of_domains_is_routed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    found = corpus(services=2, dialogues=8)
    split = [
        replace(d, split="support" if number % 8 < 5 else "held-out")
        for number, d in enumerate(found.dialogues)
    ]
    write_domains(tmp_path, Corpus(found.schemas, tuple(split)))
    out = tmp_path / "out.json"
    given = ["routing.py", "--folder", str(tmp_path), "--json", str(out)]
    monkeypatch.setattr(sys, "argv", given)
    routing.main()
    (row,) = json.loads(out.read_text(encoding="utf-8"))["summary"]
    counts = {kind: figures["messages"] for kind, figures in row["kinds"].items()}
    assert counts == {"openings": 6, "follow-ups": 12, "switches": 6}
    assert "embeddings as they are" in capsys.readouterr().out


def test_what_tells_domains_apart_gets_the_weight() -> None:
    """Topics tell domains apart, words a little; all else is noise."""
    draw = torch.Generator().manual_seed(0)
    wanted = torch.arange(60) % 4 - 1
    first = torch.arange(60) % 2 == 0
    parts = 0.3 * torch.rand(60, 3, 4, generator=draw)
    own = torch.nn.functional.one_hot(wanted.clamp(min=0), 3) * (wanted >= 0)[:, None]
    parts[..., 2] += 0.15 * own
    words = torch.stack([0.3 * own, torch.zeros(60, 3)])
    features = router_weights.Features(
        parts, 0.3 * torch.rand(3, 40, 4, generator=draw), words, wanted, first
    )
    weights, told = router_weights.fitted([features], openings=False)
    assert float(weights.sum()) == pytest.approx(1.0) and int(weights.argmax()) == 2
    assert told > 0.6  # it began at 0.5
    scores = features.scores(torch.tensor([0.0, 0.0, 1.0, 0.0]), torch.tensor(2.0), openings=True)
    usual = features.usual[..., 2]
    by_hand = (parts[..., 2] - usual.mean(1)) / usual.std(1)
    torch.testing.assert_close(scores, by_hand)
