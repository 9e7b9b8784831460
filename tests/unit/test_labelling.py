"""A dialogue under a person's hands: what a correction changes beside its own turn."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import pytest

from rasa_onramp.cli.labelling import Labelling
from rasa_onramp.dialogue import Dialogue, Span, State, Turn
from rasa_onramp.tracker.decoding import TurnPrediction
from tiny_tracker import CAFE


def guess(turns: Sequence[Turn], before: State) -> TurnPrediction:
    """A tracker that understands nothing."""
    return TurnPrediction(before)


def labelling(*turns: Turn) -> Labelling:
    return Labelling(CAFE, Dialogue("d", CAFE.name, turns), guess)


def said(text: str, intent: Optional[str] = "BookTable", *spans: Span, **values: str) -> Turn:
    state = State({name: (value,) for name, value in values.items()}, intent)
    return Turn("user", text, state, spans=spans)


def accepted(work: Labelling) -> Sequence[Any]:
    """The rest as proposed: each turn's values and intent."""
    while not work.done:
        work.accept()
    states = [turn.state for turn in work.labelled(None).turns if turn.is_user]
    return [
        state and ({name: texts[0] for name, texts in state.values.items()}, state.active_intent)
        for state in states
    ]


def test_a_correction_holds_up_to_what_was_recorded_as_a_change() -> None:
    work = labelling(
        said("friday, for Anna", visit_day="sunday", guest_name="Anna"),
        Turn("system", "where?"),
        said("in the bar", visit_day="sunday", guest_name="Anna", seating="bar"),
        Turn("user", "lovely weather"),
        said("no, monday", visit_day="monday", guest_name="Anna", seating="bar"),
        said("forget it", "CancelTable", visit_day="monday", guest_name="Anna", seating="bar"),
    )
    for name, value in (("visit_day", "friday"), ("guest_name", ""), ("intent", "none")):
        work.put(name, value)
    work.accept()
    work.put("seating", "terrace")
    assert accepted(work) == [
        ({"visit_day": "friday"}, None),
        ({"visit_day": "friday", "seating": "terrace"}, None),
        None,
        ({"visit_day": "monday", "seating": "terrace"}, None),
        ({"visit_day": "monday", "seating": "terrace"}, "CancelTable"),
    ]


def test_what_is_added_holds_too_and_what_is_taken_out_does_not() -> None:
    work = labelling(
        said("hello", None),
        said("a table on sunday", visit_day="sunday"),
        said("inside", visit_day="sunday", seating="inside"),
    )
    work.put("guest_name", "Bea")
    work.accept()
    work.take_out()
    assert accepted(work) == [
        ({"guest_name": "Bea"}, None),
        None,
        ({"guest_name": "Bea", "seating": "inside"}, None),
    ]


def test_a_value_that_a_later_turn_says_itself_stays() -> None:
    work = labelling(
        said("this weekend", visit_day="sunday"),
        said("yes, sunday", "BookTable", Span("visit_day", 5, 11), visit_day="sunday"),
    )
    work.put("visit_day", "saturday")
    assert [values for values, _ in accepted(work)] == [
        {"visit_day": "saturday"},
        {"visit_day": "sunday"},
    ]


def test_a_correction_after_undoing_holds_too() -> None:
    work = labelling(said("sunday", visit_day="sunday"), said("yes", visit_day="sunday"))
    for day in ("friday", "monday"):
        work.put("visit_day", day)
        work.accept()
        assert work.proposal.state == State({"visit_day": (day,)}, "BookTable")
        if day == "friday":
            work.accept()
            work.undo()
            work.undo()
    assert [values for values, _ in accepted(work)] == [{"visit_day": "monday"}] * 2


def test_what_was_accepted_of_a_raw_dialogue_is_shown_again_after_undoing() -> None:
    work = labelling(*(Turn("user", text) for text in ("sunday", "for Bea", "thanks")))
    for name, value in (("visit_day", "sunday"), ("guest_name", "Bea")):
        work.put(name, value)
        work.accept()
    work.undo()
    work.undo()
    work.put("visit_day", "monday")
    work.accept()
    assert work.proposal.spans == (Span("guest_name", 4, 7),)
    assert accepted(work) == [
        ({"visit_day": "monday"}, None),
        ({"visit_day": "monday", "guest_name": "Bea"}, None),
        ({"visit_day": "monday", "guest_name": "Bea"}, None),
    ]


def test_a_dialogue_whose_states_say_nothing_is_guessed() -> None:
    def monday(turns: Sequence[Turn], before: State) -> TurnPrediction:
        return TurnPrediction(State({"visit_day": ("monday",)}, "BookTable"))

    turns = (Turn("user", "a table on monday", State()), Turn("system", "ok"))
    work = Labelling(CAFE, Dialogue("d", CAFE.name, turns), monday)
    assert accepted(work) == [({"visit_day": "monday"}, "BookTable")]


def test_a_value_that_nobody_said_is_hinted_at() -> None:
    work = labelling(said("a table on friday"), Turn("system", "or saturday?"), said("fine"))
    hint = work.put("visit_day", "2024-06-07")
    assert hint is not None and hint.startswith("'2024-06-07' is in no message so far")
    assert work.put("visit_day", "Friday") is None
    work.accept()
    # what the bot said counts, and so does nothing that isn't looked for in messages
    for name, value in (("visit_day", "saturday"), ("seating", "bar"), ("visit_day", "dontcare")):
        assert work.put(name, value) is None
    assert work.put("intent", "none") is work.put("visit_day", "") is None


def test_without_a_correction_all_stays_as_it_was_recorded() -> None:
    turns = (said("on sunday", visit_day="sunday"), said("outside", seating="terrace"))
    work = labelling(*turns)
    work.accept()
    work.accept()
    assert work.labelled(None).turns == turns


@pytest.mark.parametrize(
    ("text", "value", "marked"),
    [
        ("RX24, for 2", "2", "2"),
        ("RX24 for us", "2", ""),
        ("a party for the Art Club", "art", "Art"),
        ("it's $5.", "$5", "$5"),
        ("İİİ on friday", "friday", "friday"),
    ],
)
def test_a_value_is_marked_where_it_is_a_word(text: str, value: str, marked: str) -> None:
    work = labelling(Turn("user", text))
    work.put("guest_name", value)
    assert [text[span.start : span.end] for span in work.proposal.spans] == [marked] * bool(marked)
