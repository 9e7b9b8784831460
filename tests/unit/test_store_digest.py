"""Serialisation and digests, on generated schemas and dialogues."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_onramp.dialogue import Action, Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.errors import StoreError
from rasa_onramp.store.digest import canonical_json, dialogue_digest, schema_digest, support_digest
from rasa_onramp.store.serialise import (
    schema_from_json,
    schema_to_json,
    turn_from_json,
    turn_to_json,
)

TEXT = st.text(max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
MAP = st.dictionaries(TEXT, TEXT, max_size=3)
SCHEMAS = st.builds(
    Schema,
    name=TEXT,
    description=TEXT,
    slots=st.lists(st.builds(Slot, TEXT, TEXT, TEXTS), max_size=3).map(tuple),
    intents=st.lists(st.builds(Intent, TEXT, TEXT, TEXTS, MAP), max_size=3).map(tuple),
    actions=st.lists(
        st.builds(Action, TEXT, TEXT, TEXTS, TEXTS, st.none() | TEXT, TEXTS), max_size=3
    ).map(tuple),
)
STATES = st.builds(State, st.dictionaries(TEXT, TEXTS, max_size=3), st.none() | TEXT, TEXTS)
NUMBERS = st.integers(0, 99)
TURNS = st.builds(
    Turn,
    speaker=st.sampled_from(["user", "system"]),
    text=TEXT,
    state=st.none() | STATES,
    action=st.none() | TEXT,
    parameters=MAP,
    results=st.lists(MAP, max_size=3).map(tuple),
    spans=st.lists(st.builds(Span, TEXT, NUMBERS, NUMBERS), max_size=3).map(tuple),
)
DIALOGUES = st.builds(
    Dialogue,
    id=TEXT,
    domain=TEXT,
    turns=st.lists(TURNS, max_size=3).map(tuple),
    split=st.sampled_from([None, "support", "held-out"]),
)


@given(SCHEMAS)
def test_schemas_survive_json(schema: Schema) -> None:
    assert schema_from_json(json.loads(json.dumps(schema_to_json(schema))), "here") == schema


def test_a_schema_stored_before_actions_had_optional_slots_keeps_its_digest() -> None:
    stored = schema_to_json(Schema("taxi", actions=(Action("send"),)))["actions"][0]
    assert set(stored) == {"name", "description", "required_slots", "result_slots", "url"}


@given(TURNS)
def test_turns_survive_json(turn: Turn) -> None:
    assert turn_from_json(json.loads(json.dumps(turn_to_json(turn))), "here") == turn


@given(DIALOGUES, DIALOGUES)
def test_digests_are_equal_only_for_equal_dialogues(a: Dialogue, b: Dialogue) -> None:
    assert (dialogue_digest(a) == dialogue_digest(b)) == (a == b)


@given(SCHEMAS, SCHEMAS)
def test_digests_are_equal_only_for_equal_schemas(a: Schema, b: Schema) -> None:
    assert (schema_digest(a) == schema_digest(b)) == (a == b)


@given(SCHEMAS, st.lists(DIALOGUES, max_size=4), st.randoms())
def test_the_order_of_support_dialogues_does_not_count(
    schema: Schema, dialogues: list, random: object
) -> None:
    before = support_digest(schema, dialogues)
    random.shuffle(dialogues)  # type: ignore[attr-defined]
    assert support_digest(schema, dialogues) == before
    assert support_digest(replace(schema, name=schema.name + "x"), dialogues) != before
    assert support_digest(schema, [*dialogues, Dialogue("x", "y", ())]) != before


def test_the_order_of_keys_does_not_count() -> None:
    a = State({"x": ("1",), "y": ("2",)})
    b = State({"y": ("2",), "x": ("1",)})
    digests = {dialogue_digest(Dialogue("d", "d", (Turn("user", "", s),))) for s in (a, b)}
    assert len(digests) == 1


def test_digests_do_not_drift() -> None:
    """Digests are kept in databases: another spelling would make every adapter look stale."""
    schema = Schema("d", "é", (Slot("s", "", ("v",)),), (Intent("i"),), (Action("a"),))
    turn = Turn("user", "é", State({"s": ("v",)}, "i", ("s",)), spans=(Span("s", 0, 1),))
    assert canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"\\u00e9"]}'
    assert support_digest(schema, [Dialogue("x", "d", (turn,), "support")]) == (
        "ba5b6987014140ccba680955e9f417b0223ece0895796acfe1eabb27f99ca91e"
    )


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        "text",
        {},
        {"name": 1},
        {"slots": None},
        {"slots": ["a"]},
        {"slots": [{"name": "a", "description": "", "values": "v"}]},
        {"intents": [{"name": "a"}]},
        {"actions": [{"name": "a", "description": "", "required_slots": [], "url": 1}]},
    ],
)
def test_a_damaged_schema_is_refused_in_one_line(damage: object) -> None:
    data = schema_to_json(Schema("d", slots=(Slot("s"),)))
    broken = {**data, **damage} if isinstance(damage, dict) and damage else damage
    with pytest.raises(StoreError, match=r"^the row.*: undo that, or delete") as caught:
        schema_from_json(broken, "the row")
    assert "\n" not in str(caught.value)


def test_an_unknown_speaker_is_refused() -> None:
    with pytest.raises(StoreError, match="here has a speaker that isn't 'user' or 'system'"):
        turn_from_json({**turn_to_json(Turn("user", "")), "speaker": "bot"}, "here")
