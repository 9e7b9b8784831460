"""Which row the talk is about, and which words of a reply state a value."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import pytest

from rasa_onramp.dialogue import State, Turn
from rasa_onramp.generator import Reply
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.understanding import Understanding
from tiny_replies import now, system, user

LEITH = {"tracking_number": "AB1", "area": "leith"}
SHOPS = ({"shop": "Spar Express", "area": "leith"}, {"shop": "Spar", "area": "leith"})
OPEN = ({"shop": "Spar", "insured": "True"}, {"shop": "Co-op", "insured": "False"})
DAYS = (
    {"expected_day": "friday", "status": "at 5 pm"},
    {"expected_day": "friday", "status": "at 6 pm"},
    {"expected_day": "sunday", "status": "at 5 pm"},
)


def talk(rows: Sequence[Mapping[str, Any]], *said: str) -> Sequence[Turn]:
    """The bot finds these rows and says this, one after the other; each time the user asks on."""
    turns = [user("what is there", "collect", **LEITH), system(said[0], "shops", *rows)]
    for text in said[1:]:
        turns += [user("another one?", "collect", **LEITH), system(text)]
    return (*turns, user("tell me about it", "collect", **LEITH))


@pytest.mark.parametrize(
    ("rows", "said", "row"),
    [
        (SHOPS, ["There is Spar Express."], 0),  # "Spar" is a part of it
        (SHOPS, ["There is Spar Express.", "There is Spar."], 1),
        (OPEN, ["No problem, there is Spar."], 0),  # "no" is no value here
        (OPEN, ["There are some."], None),
        (DAYS, ["Friday at 5 pm.", "There is one at 6 pm."], 1),
    ],
)
def test_the_row_shown_last_is_the_one_in_focus(
    rows: Sequence[Mapping[str, Any]], said: Sequence[str], row: Optional[int]
) -> None:
    assert now(*talk(rows, *said)).row == row


def test_of_several_rows_that_agree_with_the_state_the_one_shown_last_counts() -> None:
    state = {**LEITH, "expected_day": "friday"}
    turns = (
        user("what is there", "collect", **state),
        system("Friday at 5 pm.", "shops", *DAYS),
        user("another one?", "collect", **state),
        system("There is one at 6 pm."),
        user("where is it", "collect", **state),
    )
    assert now(*turns).row == 1
    assert now(*turns[:3]).row in (0, None)
    sunday = user("on sunday then", "collect", **{**LEITH, "expected_day": "sunday"})
    assert now(*turns[:4], sunday).row == 2


def test_yes_no_and_one_in_a_reply_are_no_values() -> None:
    text = "No, Spar isn't open late. One moment: it closes at 7."
    understood = Understanding(Route("parcels"), state=State({"status": ("1",)}))
    rows = [{"shop": "Spar", "insured": "False"}]
    turn = Engine.system_turn(Reply(text, text, "schema", 1.0), understood, rows)
    assert [(span.slot, text[span.start : span.end]) for span in turn.spans] == [("shop", "Spar")]


@pytest.mark.parametrize(("results", "marks"), [(None, ["shop"]), ([], [])])
def test_values_of_the_last_call_are_marked_unless_there_was_another(
    results: Any, marks: Sequence[str]
) -> None:
    text = "There is also Co-op."
    understood = Understanding(Route("parcels"), state=State())
    reply = Reply(text, text, "schema", 1.0)
    turn = Engine.system_turn(reply, understood, results, known=OPEN)
    assert ([span.slot for span in turn.spans], turn.results) == (marks, ())
