"""What slots calls are given, and what they leave out, by dialogues and the schema."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Mapping, Tuple

import pytest

from rasa_onramp.dialogue import DONTCARE, Action, Dialogue, Intent, Schema, Slot, State, Turn
from rasa_onramp.example_calls import taken_slots, unshown_slots
from rasa_onramp.formats import read

DATA = Path(__file__).resolve().parents[2] / "dialogue_data"
REPORT = ("open_ticket", "report")

DESK = Schema(
    "desk",
    slots=tuple(map(Slot, ("device", "place", "note", "ticket"))),
    intents=(
        Intent("report", required_slots=("device",), optional_slots={"place": "", "note": ""}),
    ),
    actions=(Action("open_ticket", required_slots=("device",)), Action("find_ticket")),
)


def call(state: Mapping[str, str], given: Tuple[str, ...], split: str = "support") -> Dialogue:
    values = {slot: (text,) for slot, text in state.items()}
    said = Turn("user", "it broke", state=State(values, "report"))
    parameters = {slot: state[slot] for slot in given}
    made = Turn("system", "done", action="open_ticket", parameters=parameters)
    return Dialogue(f"d{len(state)}{given}", "desk", (said, made), split)


def test_a_call_is_given_what_examples_required_and_optional_slots_say() -> None:
    support = [call({"device": "laptop", "place": "Leeds"}, ("device", "place"))]
    assert taken_slots(DESK, support)[REPORT] == {"device", "place"}
    listed = replace(DESK.actions[0], optional_slots=("note",))
    more = replace(DESK, actions=(listed, *DESK.actions[1:]))
    assert taken_slots(more, support)[REPORT] == {"device", "place", "note"}
    assert taken_slots(more, support).keys() == {REPORT, ("open_ticket", None)}


def test_an_example_without_its_required_slots_shows_nothing() -> None:
    """A file may leave parameters out: then a call is given all that is known, as without any."""
    assert taken_slots(DESK, [call({"device": "laptop"}, ())]) == {}


def test_an_example_without_any_parameters_shows_nothing_where_values_are_known() -> None:
    anything = replace(DESK, actions=(Action("open_ticket"), *DESK.actions[1:]))
    assert taken_slots(anything, [call({"device": "laptop"}, ())]) == {}
    assert unshown_slots(anything, [call({"device": "laptop"}, ())]) == ()
    # where nothing is known there is nothing to give
    assert taken_slots(anything, [call({"device": "dontcare"}, ())])[REPORT] == set()


def test_what_was_given_for_another_intent_is_not_passed_on() -> None:
    """Unless this one takes it, too."""
    moved = Intent("move", required_slots=("place",))
    desk = replace(DESK, intents=(*DESK.intents, moved))
    reported = call(
        {"device": "laptop", "place": "Leeds", "note": "hot"}, ("device", "place", "note")
    )
    state = State({"device": ("laptop",)}, "move")
    made = Turn("system", "done", action="open_ticket", parameters={"device": "laptop"})
    moving = Dialogue("m", "desk", (Turn("user", "move it", state=state), made), "support")
    taken = taken_slots(desk, [reported, moving])
    assert taken[REPORT] == {"device", "place", "note"}
    assert taken["open_ticket", "move"] == {"device", "place"}
    assert taken["open_ticket", None] == {"device", "place", "note"}


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yml")), ids=lambda path: path.stem)
def test_calls_of_our_own_domains_are_given_what_their_dialogues_show(path: Path) -> None:
    corpus = read(path)
    (schema,) = corpus.schemas.values()
    support = [each for each in corpus.dialogues if each.split == "support"]
    taken, calls = taken_slots(schema, support), 0
    for dialogue in support:
        state = State()
        for turn in dialogue.turns:
            state = turn.state or state
            if turn.action is None:
                continue
            known = {slot for slot, values in state.values.items() if values != (DONTCARE,)}
            given = known & taken[turn.action, state.active_intent]
            assert given == turn.parameters.keys(), (dialogue.id, turn.text)
            calls += 1
    assert calls > 8


def test_what_users_may_say_and_no_call_has_is_told() -> None:
    support = [call({"device": "laptop"}, ("device",))]
    assert unshown_slots(DESK, support) == ("note", "place")
    # an example that knows a value and leaves it out shows that it is left out
    with_note = call({"device": "laptop", "note": "hot"}, ("device",))
    assert unshown_slots(DESK, [*support, with_note]) == ("place",)
    listed = replace(DESK.actions[0], optional_slots=("place",))
    assert unshown_slots(replace(DESK, actions=(listed,)), [with_note]) == ()
    any_place = call({"device": "laptop", "place": "dontcare"}, ("device",))
    assert unshown_slots(DESK, [with_note, any_place]) == ("place",)
    assert unshown_slots(DESK, []) == ()
