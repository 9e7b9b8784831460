"""The four domains in dialogue_data/ load, are labelled soundly and hold what README.md says."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Dict, List, Set

import pytest

from labelled import steps
from rasa_onramp.dialogue import DONTCARE, Corpus, Schema, State, Turn
from rasa_onramp.formats import read

FOLDER = Path(__file__).resolve().parents[2] / "dialogue_data"
DOMAINS = ("parcel_delivery", "mobile_plan", "clinic_appointments", "it_helpdesk")
COLUMNS = (
    "support",
    "held-out",
    "user turns",
    "slots set",
    "API calls",
    "empty results",
    "changed values",
    "accepted offers",
    "don't care",
    "requests",
    "out of scope",
)


@pytest.fixture(scope="module", params=DOMAINS)
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return read(FOLDER / f"{request.param}.yml")


def schema_of(corpus: Corpus) -> Schema:
    (schema,) = corpus.schemas.values()
    return schema


def stated(turns: List[Turn], slot: str) -> Set[str]:
    """The values of `slot` that the system has stated, in lower case."""
    return {
        turn.text[span.start : span.end].lower()
        for turn in turns
        if not turn.is_user
        for span in turn.spans
        if span.slot == slot
    }


def counts(corpus: Corpus) -> Counter:
    found: Counter = Counter()
    for dialogue in corpus.dialogues:
        found[dialogue.split] += 1
        for turn in dialogue.turns:
            found["user turns"] += turn.is_user
            found["out of scope"] += turn.is_user and turn.state is None
            found["API calls"] += turn.action is not None
            found["empty results"] += turn.action is not None and not turn.results
        for turns, before, after in steps(dialogue):
            found["requests"] += bool(after.requested_slots)
            for slot, values in after.values.items():
                old, value = before.values.get(slot), values[0].lower()
                if values == old:
                    continue
                found["slots set"] += 1
                found["changed values"] += old is not None
                found["don't care"] += value == DONTCARE
                found["accepted offers"] += value not in turns[-1].text.lower() and value in stated(
                    turns, slot
                )
    return found


def test_every_file_in_the_folder_is_tested():
    assert {path.stem for path in FOLDER.glob("*.yml")} == set(DOMAINS)


def test_schema_is_described_and_mixes_free_and_listed_slots(corpus):
    schema = schema_of(corpus)
    assert 6 <= len(schema.slots) <= 9
    assert len(schema.intents) == 3
    assert 2 <= len(schema.actions) <= 3
    assert 3 <= sum(slot.categorical for slot in schema.slots) < len(schema.slots)
    assert any(set(slot.values) == {"True", "False"} for slot in schema.slots)
    for thing in (schema, *schema.slots, *schema.intents, *schema.actions):
        assert len(thing.description.split()) >= 3, thing.name


def test_splits_and_lengths(corpus):
    found = counts(corpus)
    assert found["support"] == 5
    assert found["held-out"] >= 10
    assert found["support"] + found["held-out"] == len(corpus.dialogues)
    for dialogue in corpus.dialogues:
        assert 5 <= sum(turn.is_user for turn in dialogue.turns) <= 9, dialogue.id
        assert not dialogue.turns[-1].is_user, dialogue.id


def test_support_covers_the_schema(corpus):
    schema = schema_of(corpus)
    slots, intents, actions = set(), set(), set()
    for dialogue in corpus.dialogues:
        if dialogue.split != "support":
            continue
        for turn in dialogue.turns:
            slots.update(span.slot for span in turn.spans)
            actions.add(turn.action)
            if turn.state is not None:
                slots.update(turn.state.values)
                intents.add(turn.state.active_intent)
    assert slots >= {slot.name for slot in schema.slots}
    assert intents >= {intent.name for intent in schema.intents}
    assert actions >= {action.name for action in schema.actions}


def test_held_out_sets_no_slot_that_support_never_sets(corpus):
    sets: Dict[str, set] = {"support": set(), "held-out": set()}
    for dialogue in corpus.dialogues:
        for _, _, after in steps(dialogue):
            sets[dialogue.split or ""].update(after.values)
    assert sets["held-out"] <= sets["support"]


def test_free_values_stand_verbatim_in_the_dialogue_so_far(corpus):
    schema = schema_of(corpus)
    for dialogue in corpus.dialogues:
        for turns, _, after in steps(dialogue):
            so_far = "\n".join(turn.text for turn in turns).lower()
            for slot, values in after.values.items():
                if not schema.slot(slot).categorical and values != (DONTCARE,):
                    assert values[0].lower() in so_far, (dialogue.id, slot, values)


def test_api_calls_use_the_state_and_the_bot_states_only_what_it_knows(corpus):
    schema = schema_of(corpus)
    for dialogue in corpus.dialogues:
        state, known = State(), set()
        for turn in dialogue.turns:
            where = (dialogue.id, turn.text)
            if turn.is_user:
                state = turn.state or state
                known.update(
                    (slot, value.lower()) for slot in state.values for value in state.values[slot]
                )
                continue
            if turn.action is not None:
                action = schema.action(turn.action)
                assert set(action.required_slots) <= set(turn.parameters), where
                for slot, value in turn.parameters.items():
                    assert value in state.values[slot], where
                for row in turn.results:
                    assert set(row) <= set(action.result_slots), where
                    known.update((slot, value.lower()) for slot, value in row.items())
            for span in turn.spans:
                value = turn.text[span.start : span.end]
                assert (span.slot, value.lower()) in known or value in schema.slot(
                    span.slot
                ).values, where


def test_bot_marks_every_value_of_the_state_and_of_the_results_that_it_states(corpus):
    for dialogue in corpus.dialogues:
        known = set()
        for turn in dialogue.turns:
            if turn.is_user:
                state = turn.state or State()
                known.update(value for values in state.values.values() for value in values)
                continue
            known.update(value for row in turn.results for value in row.values())
            marked = {i for span in turn.spans for i in range(span.start, span.end)}
            rest = "".join(" " if i in marked else c for i, c in enumerate(turn.text))
            for value in known - {DONTCARE, "True", "False"}:
                found = re.search(rf"(?i)(?<!\w){re.escape(value)}(?!\w)", rest)
                assert not found, (dialogue.id, rest, value)


def test_people_talk_like_people(corpus):
    for split in ("support", "held-out"):
        found = counts(
            Corpus(corpus.schemas, tuple(d for d in corpus.dialogues if d.split == split))
        )
        assert found["changed values"] >= 4, split
        assert found["accepted offers"] >= 2, split
        assert found["don't care"] >= 1, split
        assert found["out of scope"] >= 2, split
        assert found["requests"] >= 3, split
        assert found["empty results"] >= 1, split


def test_no_two_dialogues_share_a_user_turn_of_substance(corpus):
    seen: Dict[str, str] = {}
    for dialogue in corpus.dialogues:
        for turn in dialogue.turns:
            if turn.is_user and len(turn.text.split()) > 4:
                assert seen.setdefault(turn.text.lower(), dialogue.id) == dialogue.id, turn.text


def test_held_out_identifiers_are_not_the_support_ones(corpus):
    names = {"tracking_number", "phone_number", "patient_name", "date_of_birth"}
    names |= {"employee_id", "ticket_number"}
    values: Dict[str, set] = {"support": set(), "held-out": set()}
    for dialogue in corpus.dialogues:
        for _, _, after in steps(dialogue):
            for slot in names & set(after.values):
                values[dialogue.split or ""].add(after.values[slot][0].lower())
    assert values["support"] and values["held-out"]
    assert not values["support"] & values["held-out"]


def test_readme_table_is_what_the_files_hold():
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    table = {row[0]: row[1:] for row in rows}
    assert table["domain"] == list(COLUMNS)
    for domain in DOMAINS:
        found = counts(read(FOLDER / f"{domain}.yml"))
        assert table[f"`{domain}`"] == [str(found[column]) for column in COLUMNS], domain


if __name__ == "__main__":  # prints the table of dialogue_data/README.md
    print("| domain | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name in DOMAINS:
        numbers = counts(read(FOLDER / f"{name}.yml"))
        print(f"| `{name}` | " + " | ".join(str(numbers[column]) for column in COLUMNS) + " |")
