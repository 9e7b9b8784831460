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

HOTELS = (
    {"hotel": "Hilton", "star_rating": "4"},
    {"hotel": "Ibis", "star_rating": "3"},
    {"hotel": "Ritz", "star_rating": "5"},
)
FLOORS = ({"hotel": "Ibis", "floor": "9"}, {"hotel": "Ritz", "floor": "2"})


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
        (HOTELS, ["I found 3 hotels. There is Hilton."], 0),  # 3 is how many
        (FLOORS, ["The 2nd is full. There is Ibis."], 0),  # of the month, or of the two
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


@pytest.mark.parametrize(
    ("given", "shown", "row"),
    [
        ({"people": "5"}, "For 5, we suggest Hilton.", 0),  # not the one with five stars
        ({"star_rating": "5"}, "For 5, we suggest Hilton.", 2),  # which was chosen
        ({}, "The one with 5 stars?", 2),
        # what was said before doesn't agree, but the row's own slot is spoken of
        ({"hotel": "Hilton", "star_rating": "2"}, "There is Hilton.", 0),
    ],
)
def test_a_value_of_the_users_names_no_row(
    given: Mapping[str, str], shown: str, row: Optional[int]
) -> None:
    turns = (
        user("where can we stay", "collect", **given),
        system(shown, "shops", *HOTELS),
        user("tell me about it", "collect", **given),
    )
    assert now(*turns).row == row


def test_what_all_rows_share_chooses_none() -> None:
    """However the API spells it."""
    rows = ({"shop": "Spar", "day": "2026-03-16"}, {"shop": "Co-op", "day": "2026-03-16"})

    def row(rows: Sequence[Mapping[str, str]], **state: str) -> Optional[int]:
        turns = (
            user("what is there", "collect", day="the 16th"),
            system("Spar or Co-op?", "shops", *rows),
            user("the first one", "collect", day="the 16th", **state),
        )
        return now(*turns).row

    assert row(rows, shop="Spar") == 0
    assert row(rows, shop="SPAR") == 0
    assert row(({"shop": "McDonald's"}, {"shop": "Co-op"}), shop="mcdonald's") == 0


def test_a_call_that_returns_nothing_may_be_acknowledged() -> None:
    """{"ok": true} is no row to tell of; a slot's value is."""
    known = {"tracking_number": "QQ7", "delivery_day": "friday"}
    turns = [user("QQ7 on friday", "move", **known)]
    for row, tells in (({"ok": "True"}, False), ({"id": "17"}, False), ({"shop": "Spar"}, True)):
        rows = (row,) if tells else ()
        found = now(*turns, results=[row], action="save")
        assert (found.rows, found.found) == (rows, tells)
        later = (*turns, system("Done.", "save", row), user("thanks", "move", **known))
        assert now(*later).rows == now(*later, results=[row]).rows == rows
    # one that returns something, or that the schema doesn't know, tells what it likes
    for action in ("find", "another"):
        assert now(*turns, results=[{"ok": "True"}], action=action).found


def test_what_was_done_is_done_until_something_is_new() -> None:
    known = {"tracking_number": "QQ7", "delivery_day": "friday"}
    first = user("QQ7 on friday", "move", **known)
    asked, saved = system("Is that right?"), system("Done.", "save")
    thanks = user("thanks", "move", **known)
    assert not now(first).done and not now(first, asked, thanks).done
    assert now(first, saved, thanks).done
    assert now(first, saved, thanks, system("You're welcome."), thanks).done
    monday = user("monday then", "move", **{**known, "delivery_day": "monday"})
    assert not now(first, saved, monday).done
    assert not now(first, saved, monday, asked, monday).done
    assert not now(first, saved, user("where is it", "track", **known)).done
    assert not now(first, saved, thanks, action="save").done
    assert not now(first, saved, Turn("user", "jazz?")).done


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
