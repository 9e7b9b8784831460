"""What slots calls are given, and what they leave out, by dialogues and the schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping, Tuple

from rasa_onramp.dialogue import Action, Dialogue, Intent, Schema, Slot, State, Turn
from rasa_onramp.example_calls import taken_slots, unshown_slots

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
    assert taken_slots(DESK, support) == {"open_ticket": {"device", "place"}}
    listed = replace(DESK.actions[0], optional_slots=("note",))
    more = replace(DESK, actions=(listed, *DESK.actions[1:]))
    assert taken_slots(more, support) == {"open_ticket": {"device", "place", "note"}}


def test_an_example_without_its_required_slots_shows_nothing() -> None:
    """A file may leave parameters out: then a call is given all that is known, as without any."""
    assert taken_slots(DESK, [call({"device": "laptop"}, ())]) == {}


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
