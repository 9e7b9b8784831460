"""bench/robustness.py from data to results, with a tiny tracker: what is learned and measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch

import robustness
from rasa_onramp.dialogue import DONTCARE, Corpus, Dialogue, Schema
from rasa_onramp.evaluation import few_shot
from rasa_onramp.evaluation.methods import Learned
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.metalearning.augment import renaming
from rasa_onramp.runtime.background import Background, load_background
from rasa_onramp.tracker.checkpoint import save_tracker
from rasa_onramp.tracker.model import StateTracker
from robustness_parts import measuring
from robustness_parts.conditions import (
    CLEAN,
    GROUPS,
    MISSED,
    PARAPHRASED,
    TYPING,
    Study,
    lessons,
    studies,
)
from robustness_parts.measuring import key_of, measured, planned
from robustness_parts.order import orders, routing, tracking
from tiny_tracker import CAFE, corpus, system, tiny_tracker, tokenizer_json, user

PROTOCOL = Protocol(shots=(2,), seeds=1, methods=("zero-shot", "adapted"), limit=2)


def paraphrase(schema: Schema, word: str) -> Schema:
    slots = tuple(replace(slot, name=f"{word}_{slot.name}") for slot in schema.slots)
    intents = tuple(
        replace(
            intent,
            name=f"{word}{intent.name}",
            required_slots=tuple(f"{word}_{s}" for s in intent.required_slots),
            optional_slots={f"{word}_{s}": v for s, v in intent.optional_slots.items()},
        )
        for intent in schema.intents
    )
    return replace(schema, name=f"{schema.name}{word}", slots=slots, intents=intents)


def nameless(number: int, domain: str) -> Dialogue:
    """A dialogue that never speaks of seats or names."""
    turns = (
        user("a table on monday", {"visit_day": "monday"}, marks={"visit_day": "monday"}),
        system("it is booked", "BookTable"),
    )
    return Dialogue(f"{domain}-nameless-{number}", domain, turns)


def data(services: int = 1) -> Corpus:
    found = corpus(services, dialogues=8)
    more = tuple(nameless(number, name) for name in found.schemas for number in range(4))
    return Corpus(found.schemas, found.dialogues + more)


def study() -> Study:
    found = data()
    variants = {
        name: [(other, renaming(schema, other)) for other in map(paraphrase, [schema] * 2, "xy")]
        for name, schema in found.schemas.items()
    }
    (one,) = studies(found, list(found.schemas), PROTOCOL, variants)
    return one


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    made = tiny_tracker(seed=6, rank=2, steps=2, spread=3.0)
    return replace(made, card={"adaptation": {"steps": 1, "runs": 1}})


def test_studies_are_few_shots_splits_with_the_rest_in_reserve() -> None:
    found = data(services=2)
    names = list(found.schemas)
    for one, wanted in zip(studies(found, names, PROTOCOL, {}), splits(found, names, PROTOCOL)):
        assert (one.schema, one.support, one.held_out) == (
            wanted.schema,
            wanted.pool,
            wanted.held_out,
        )
        own = [d.id for d in found.dialogues if d.domain == one.schema.name]
        assert sorted(d.id for d in (*one.support, *one.reserve, *one.held_out)) == sorted(own)


def test_an_own_splits_held_out_dialogues_are_never_learned_from() -> None:
    found = data()
    splits_ = ["support"] * 5 + ["held-out"] * 5
    own = tuple(replace(d, split=s) for d, s in zip(found.dialogues, splits_))
    protocol = replace(PROTOCOL, own_split=True)
    (one,) = studies(Corpus(found.schemas, own), list(found.schemas), protocol, {})
    assert len(one.held_out) == 2 and len(one.support) == 2
    assert {d.split for d in (*one.support, *one.reserve)} == {"support"}


def test_every_kind_of_condition_is_made_and_the_texts_and_labels_fit() -> None:
    one = study()
    found = list(lessons(one))
    conditions = [c for lesson in found for c in lesson.conditions]
    assert {c.group for c in conditions} == set(GROUPS)
    assert len({c.name for c in conditions}) == len(conditions)
    clean = conditions[0]
    assert (clean.name, clean.held_out, found[0].support) == (CLEAN, one.held_out, one.support)
    for condition in conditions:
        names = {slot.name for slot in condition.schema.slots}
        for dialogue in condition.held_out:
            for turn in dialogue.turns:
                assert not turn.state or set(turn.state.values) <= names
    assert all(c.schema == one.schema for c in conditions if c.group in TYPING)
    by_name = {c.name: c for c in conditions}
    assert by_name["upper case"].held_out[0].turns[0].text.isupper()
    orders_ = [by_name[f"shuffled schema {n}"].schema for n in (1, 2, 3)]
    for other in orders_:
        assert sorted(i.name for i in other.intents) == sorted(i.name for i in one.schema.intents)
        assert {s.name for s in other.slots} == {s.name for s in one.schema.slots}
    assert any(other.slots != one.schema.slots for other in orders_)
    slot = by_name[MISSED].slot
    assert slot == clean.slot == "seating"
    assert list(lessons(one)) == found  # the same for the same study


def test_paraphrases_are_learned_as_they_are_measured() -> None:
    found = [x for x in lessons(study()) if x.conditions[0].group == PARAPHRASED]
    assert [x.conditions[0].name for x in found] == [f"paraphrased schema {n}" for n in (1, 2)]
    for lesson, word in zip(found, "xy"):
        assert lesson.schema == lesson.conditions[0].schema
        for dialogue in (*lesson.support, *lesson.conditions[0].held_out):
            assert dialogue.domain == lesson.schema.name
            for turn in dialogue.turns:
                assert not turn.state or all(s.startswith(f"{word}_") for s in turn.state.values)
                assert all(span.slot.startswith(f"{word}_") for span in turn.spans)


def test_rows_are_what_the_plain_protocol_measures(tracker: StateTracker) -> None:
    one = study()
    groups = (CLEAN, PARAPHRASED, "upper case", MISSED)
    rows = list(measured(tracker, one, PROTOCOL, groups))
    assert [key_of(row) for row in rows] == planned(one, PROTOCOL.methods, groups)
    json.dumps(rows, allow_nan=False)
    clean = {row["method"]: row for row in rows if row["condition"] == CLEAN}
    protocol = replace(PROTOCOL, shots=(2,))
    found = data()
    for result in few_shot.evaluate(tracker, found, list(found.schemas), protocol):
        row = clean[result.method]
        turns = [score for dialogue in row["turn_jga"] for score in dialogue]
        assert turns == pytest.approx([s.jga for s in result.scores], abs=1e-4)
        assert row["jga"] == pytest.approx(result.row()["jga"])
    shapes = {tuple(map(len, row["turn_jga"])) for row in rows}
    assert len(shapes) == 1  # the same turns under every condition
    # the tokenizer doesn't see case, and values are compared without it
    by_key = {(row["condition"], row["method"]): row["turn_jga"] for row in rows}
    assert by_key["upper case", "adapted"] == by_key[CLEAN, "adapted"]
    slots = [row for row in rows if "slot" in row]
    assert {row["condition"] for row in slots} == {CLEAN, MISSED}
    assert all(len(row["slot_scores"]) == 2 for row in slots)


def test_what_is_done_is_neither_measured_nor_learned_again(
    tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = study()
    taught: List[str] = []

    def learn(method: str, *_: Any, **__: Any) -> Learned:
        taught.append(method)
        return Learned(tracker)

    monkeypatch.setattr(measuring, "learn", learn)
    keys = planned(one, PROTOCOL.methods, GROUPS)
    left = [key for key in keys if key[2:] in (("lower case", "adapted"), (CLEAN, "zero-shot"))]
    done = set(keys) - set(left)
    assert [key_of(row) for row in measured(tracker, one, PROTOCOL, GROUPS, done)] == [
        key for method in PROTOCOL.methods for key in left if key[3] == method
    ]
    assert taught == ["zero-shot", "adapted"]  # once each, for the one lesson that is left
    only = [key_of(row)[2] for row in measured(tracker, one, PROTOCOL, ["upper case"])]
    assert only == ["upper case"] * 2


def test_orders_are_permutations() -> None:
    some: List[Any] = list("abcd")
    found = orders(some, 4)
    assert found[:2] == [some, some[::-1]] and len(found) == 4
    assert all(sorted(order) == some for order in found)
    assert orders(some, 4) == found


def test_a_domain_stays_as_it_is_when_others_come(tracker: StateTracker) -> None:
    found = data(services=2)
    domains = list(studies(found, list(found.schemas), PROTOCOL, {}))
    told: List[int] = []
    result = tracking(tracker, domains, steps=1, progress=lambda: told.append(1))
    assert (result["adapters_changed"], result["states_changed"]) == (0, 0)
    # two orders with two looks at each domain, of which the first is what the others compare with
    assert result["looks"] == 2 * (4 - 1) and result["states_compared"] > 6
    assert len(told) == 4


def test_a_domain_that_changes_is_noticed(
    tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adaptation that depends on what came before, as one that draws from a shared source."""
    found = data(services=2)
    domains = list(studies(found, list(found.schemas), PROTOCOL, {}))
    drawn = torch.Generator().manual_seed(0)
    from rasa_onramp.onboarding import onboard

    def adapt_to_support(tracker: StateTracker, *_: Any, **__: Any) -> Dict[str, torch.Tensor]:
        return {k: v + torch.randn(v.shape, generator=drawn) for k, v in tracker.weights.items()}

    monkeypatch.setattr(onboard, "adapt_to_support", adapt_to_support)
    result = tracking(tracker, domains, steps=1)
    assert result["adapters_changed"] == 4 and result["states_changed"] > 0  # in the second order


def letters(texts: Any) -> torch.Tensor:
    """Embeddings by which texts with the same words are alike."""
    words = sorted({"table", "parcel", "doctor", "where", "book", "which"})
    rows = torch.tensor([[1.0 * (w in text.lower()) for w in words] for text in texts])
    return torch.nn.functional.normalize(rows + 1e-3, dim=-1)


def test_routing_is_counted_by_the_number_of_domains() -> None:
    found = []
    for word in ("table", "parcel", "doctor"):
        schema = Schema(word, f"{word} things", CAFE.slots, CAFE.intents)
        talks = tuple(
            Dialogue(
                f"{word}-{n}",
                word,
                (
                    user(f"book my {word} now please", {}),
                    system("sure"),
                    user(f"which {word} now", {}),
                ),
            )
            for n in range(4)
        )
        found.append(Study(schema, (), talks[:2], (), talks[2:], 0))
    centres = torch.nn.functional.normalize(torch.randn(40, 6, generator=torch.Generator()), dim=-1)
    background = Background(torch.zeros(6), centres, load_background().vocabulary)
    result = routing(found, letters, background)
    assert [size["domains"] for size in result["sizes"]] == [1, 2, 3]
    assert result["messages"] == 12 and result["orders"] == 3
    assert result["order_changes"] == 0
    assert all(0 <= size["openings"] <= 1 for size in result["sizes"])
    assert result["sizes"][-1]["openings"] == 1.0 and result["worst_fall"] <= 1.0


@pytest.fixture
def command(tmp_path: Path, tracker: StateTracker) -> List[str]:
    """The command line of a run on a file of one domain, with a tiny tracker's checkpoint."""
    made = data()
    (schema,) = made.schemas.values()
    any_will_do = dict.fromkeys(("seating", "guest_name"), DONTCARE)
    intents = tuple(replace(intent, optional_slots=any_will_do) for intent in schema.intents)
    schema = replace(schema, intents=intents)
    write_yaml(tmp_path / "cafe.yml", schema, made.dialogues)
    save_tracker(tracker, tmp_path / "tracker", tokenizer_json())
    return [
        *("--data", str(tmp_path / "cafe.yml"), "--checkpoint", str(tmp_path / "tracker")),
        *("--services", schema.name, "--shots", "2", "--methods", "zero-shot", "adapted"),
        *("--order-domains", "1", "--resamples", "40", "--json", str(tmp_path / "out.json")),
    ]


def test_a_run_prints_its_tables_and_can_be_taken_up(
    tmp_path: Path,
    command: List[str],
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    robustness.main(command)
    printed = capsys.readouterr().out
    assert "typos in 20% of words" in printed and "first messages routed right" in printed
    out = tmp_path / "out.json"
    text = out.read_text(encoding="utf-8")
    found = json.loads(text)
    assert {row["condition"] for row in found["summary"]} == set(GROUPS) - {PARAPHRASED}
    assert found["order"]["tracking"]["adapters_changed"] == 0
    assert len(found["settings"]["checkpoint"]) == 64

    def measured_again(*_: Any, **__: Any) -> None:
        raise AssertionError("it was all there")

    monkeypatch.setattr(measuring, "learn", measured_again)
    robustness.main(command)
    assert out.read_text(encoding="utf-8") == text
    assert capsys.readouterr().out == printed
    assert not (tmp_path / "out.json.journal").exists()

    robustness.main([*command, "--order-steps", "2"])
    assert json.loads(out.read_text(encoding="utf-8"))["order"]["tracking"]["steps"] == 2

    monkeypatch.undo()
    robustness.main([*command, "--methods", "finetune", "--conditions", "clean"])
    summary = json.loads(out.read_text(encoding="utf-8"))["summary"]
    assert [r["method"] for r in summary if "minus_finetune" in r] == ["adapted"]
    assert {r["condition"] for r in summary if r["method"] == "finetune"} == {"clean"}


def test_bad_command_lines(
    tmp_path: Path, command: List[str], capsys: pytest.CaptureFixture
) -> None:
    for more, message in (
        (["--shots", "0"], "--shots: at least 1"),
        (["--json", str(tmp_path / "no" / "out.json")], "is no folder; create it first"),
        (["--methods", "magic"], "invalid choice: 'magic'"),
    ):
        with pytest.raises(SystemExit):
            robustness.main([*command, *more])
        assert message in capsys.readouterr().err
    for more, message in (
        (["--shots", "99"], "no service has 99 support dialogues"),
        (["--paraphrases", "x"], "--paraphrases goes with a folder"),
        (["--services", "Nowhere_1"], "no service 'Nowhere_1'"),
    ):
        with pytest.raises(SystemExit, match=message):
            robustness.main([*command, *more])


def test_sgds_dialogues_under_sgd_xs_schemas(sgd_folder: Path, sgd_x_folder: Path) -> None:
    """Every variant of every service corresponds item for item, and keeps its listed values."""
    from rasa_onramp.formats.sgd_schema import read_sgd_schemas

    own = read_sgd_schemas(sgd_folder / "dev")
    for version in range(1, 6):
        others = read_sgd_schemas(sgd_x_folder / f"v{version}" / "dev")
        for schema, other in zip(own.values(), others.values()):
            names = renaming(schema, other)
            assert [names.slots[s.name] for s in schema.slots] == [s.name for s in other.slots]
            assert [s.values for s in schema.slots] == [s.values for s in other.slots]
            assert other.name.startswith(schema.name)
