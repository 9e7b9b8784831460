"""Dialogues made from corrections."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Optional, Sequence, Tuple

from rasa_onramp.dialogue import State, Turn
from rasa_onramp.store import Feedback
from rasa_onramp.store.support import corrected_dialogues

Values = Dict[str, str]


def state(values: Values) -> State:
    return State({slot: (value,) for slot, value in values.items()}, "book")


def said(*states: Optional[Values]) -> Tuple[Turn, ...]:
    """A conversation of so many messages, each with the state that was tracked."""
    turns = []
    for number, values in enumerate(states):
        if number:
            turns.append(Turn("system", f"reply {number - 1}"))
        tracked = None if values is None else state(values)
        turns.append(Turn("user", f"message {number}", tracked))
    return tuple(turns)


def feedback(history: Sequence[Turn], corrected: Optional[Values] = None, **more: str) -> Feedback:
    reply = Turn("system", f"reply {len(history) // 2}", action="find", results=({"a": "b"},))
    return Feedback(
        domain="d",
        conversation=more.pop("conversation", "ann"),
        history=tuple(history),
        reply=reply,
        corrected_state=None if corrected is None else state(corrected),
        **more,  # type: ignore[arg-type]
    )


def states_of(made: Feedback, *others: Feedback) -> list:
    (dialogue, *_) = corrected_dialogues([made, *others])
    return [
        None if turn.state is None else {slot: v[0] for slot, v in turn.state.values.items()}
        for turn in dialogue.turns
        if turn.is_user
    ]


def test_thumbs_alone_make_no_dialogue() -> None:
    assert corrected_dialogues([replace(feedback(said({})), thumb="down")]) == ()


def test_a_corrected_reply_ends_the_conversation_and_keeps_its_call() -> None:
    (dialogue,) = corrected_dialogues([feedback(said({"day": "monday"}), corrected_reply="yes")])
    assert [turn.text for turn in dialogue.turns] == ["message 0", "yes"]
    assert (dialogue.turns[1].action, dialogue.turns[1].results) == ("find", ({"a": "b"},))


def test_a_corrected_state_is_followed_by_what_the_bot_said() -> None:
    (dialogue,) = corrected_dialogues([feedback(said({}), {"day": "monday"})])
    assert dialogue.turns[0].state == state({"day": "monday"})
    assert dialogue.turns[1].text == "reply 0"


def test_corrections_of_earlier_messages_hold_in_later_ones() -> None:
    first = feedback(said({"day": "sunday"}), {"day": "monday", "seat": "inside"})
    history = said({"day": "sunday"}, {"day": "sunday", "name": "ann"}, {"day": "friday"})
    last = feedback(history, corrected_reply="yes")
    assert states_of(last, first) == [
        {"day": "monday", "seat": "inside"},
        {"day": "monday", "name": "ann", "seat": "inside"},
        {"day": "friday", "seat": "inside"},  # the user changed the day herself
    ]
    assert states_of(first, last) == [{"day": "monday", "seat": "inside"}]


def test_a_value_that_was_wrong_stays_away_until_it_is_given_again() -> None:
    first = feedback(said({"seat": "bar"}), {})
    history = said({"seat": "bar"}, {"seat": "bar"}, {"seat": "inside"})
    last = feedback(history, {"seat": "terrace"})
    assert states_of(last, first) == [{}, {}, {"seat": "terrace"}]


def test_messages_that_say_nothing_to_the_domain_stay_so() -> None:
    first = feedback(said({}), {"day": "monday"})
    last = feedback(said({}, None, {}), corrected_reply="yes")
    assert states_of(last, first) == [{"day": "monday"}, None, {"day": "monday"}]


def test_other_conversations_do_not_count() -> None:
    history = said({}, {})
    last = feedback(history, corrected_reply="yes")
    elsewhere = feedback(said({}), {"day": "monday"}, conversation="bo")
    other_words = feedback((replace(history[0], text="hello"),), {"day": "monday"})
    assert states_of(last, elsewhere, other_words) == [{}, {}]
