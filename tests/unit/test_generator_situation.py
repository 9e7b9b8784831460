"""Which row the talk is about, and which words of a reply state a value."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Mapping, Optional, Sequence, Tuple

import pytest

import tiny_replies
from rasa_onramp.dialogue import Slot, State, Turn
from rasa_onramp.generator import Reply
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.stated import system_turn
from rasa_onramp.runtime.understanding import Understanding
from tiny_replies import system, user

#: The parcels', which tells of hotels and doctors, too.
SCHEMA = replace(
    tiny_replies.SCHEMA,
    slots=tiny_replies.SCHEMA.slots
    + tuple(map(Slot, ("hotel", "star_rating", "floor", "doctor", "time", "by", "room", "day"))),
)
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


def now(*turns: Turn, results: Sequence[Mapping[str, Any]] = (), action: Any = None) -> Situation:
    """The situation after `turns`."""
    return situate(SCHEMA, turns, turns[-1].state, results, action)


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


DOCTORS = (
    {"doctor": "Dr Osei", "time": "9:20", "by": "phone", "room": "4"},
    {"doctor": "Dr Lindgren", "time": "11:40", "by": "video", "room": "6"},
    {"doctor": "Dr Abe", "time": "14:00", "by": "video", "room": "2"},
)
OFFER = "I have 9:20 with Dr Osei and 11:40 with Dr Lindgren."


def asking(text: str, *said: str, requested: Sequence[str] = (), **state: str) -> Optional[int]:
    """The row in focus where the bot found the doctors and said this, and the user says `text`."""
    known = {**LEITH, **state}
    turns = [user("who is there", "collect", **known), system(said[0], "shops", *DOCTORS)]
    for each in said[1:]:
        turns += [user("go on", "collect", **known), system(each)]
    return now(*turns, user(text, "collect", requested, **known)).row


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("is the first one by video?", 0),
        ("is the first by video?", 0),
        ("The first, please", 0),
        ("what's the room of the 1st one", 0),
        ("what about the second option?", 1),
        ("The 2nd", 1),
        ("i'd like the last one", 1),  # of those that were told
        ("the former please", 0),
        ("on the first one, is there a fee?", 0),
        ("the first one is fine, the first one", 0),
        ("first one, is it open late?", 0),
        ("ok first one", 0),
        ("2nd one pls", 1),
        ("the 1st pls", 0),
        ("option 1", 0),
        ("option 1 please", 0),
        ("yes but the first one please", 0),
        ("isn't the first one by video?", 0),
        ("why not take the first one", 0),
        # which is none of the rows that were told, or not one of them
        ("the third one?", 1),
        ("the first one or the second one?", 1),
        ("not the first one", 1),
        ("I don't like the first one", 1),
        ("i dont really want the first one", 1),
        ("not keen on the first one", 1),
        ("anything but the first one", 1),
        ("the first one or second one?", 1),
        ("my first choice is another", 1),
        ("can you offer 1 room", 1),
        ("is it cheaper than the first one?", 1),
        ("my first name is Ann", 1),
        ("what was the first name?", 1),
        ("the first of May", 1),
        ("is it free on the first?", 1),
        ("can it be moved to the 1st", 1),
        ("is it on the first floor", 1),
        ("for the first time", 1),
        ("the first two", 1),
        ("one moment, wait a second", 1),
        ("first tell me where it is", 1),
    ],
)
def test_the_user_may_say_which_of_the_rows_that_were_told_is_meant(text: str, row: int) -> None:
    assert asking(text, OFFER) == row


def test_which_one_is_meant_counts_where_several_were_told() -> None:
    first = "is the first one by video?"
    assert asking(first, "There is Dr Osei.", "There is also Dr Lindgren.") == 1
    assert asking(first, "There are some.") is None
    assert asking("the 1st", "Dr Osei has the 3rd of May, Dr Lindgren the 1st.") == 1  # a day
    assert asking("the 1st one", "Dr Osei has the 3rd of May, Dr Lindgren the 1st.") == 0
    # what agrees with the state
    assert asking(first, "Dr Osei, Dr Lindgren or Dr Abe?", by="video") == 2
    assert asking(first, "Dr Lindgren or Dr Abe?", by="video") == 1
    # as the text has them, not as the call returned them
    assert asking(first, "There is Dr Lindgren, and Dr Osei.") == 1
    assert asking("the second one", "There is Dr Lindgren, and Dr Osei.") == 0


@pytest.mark.parametrize(
    ("text", "said", "row"),
    [
        ("is Dr Osei any good?", [OFFER], 0),
        ("I don't like Dr Osei", [OFFER], 1),
        ("what's the room of the 9:20 one", [OFFER], 0),
        ("dr osei or Dr Lindgren?", [OFFER], 1),  # both: the last one
        ("is dr osei better than Dr Lindgren?", [OFFER], 0),
        ("does Dr Abe have time", [OFFER], 2),  # not told, but it is known how they are told
        ("is Dr Osei any good?", ["There is Dr Osei.", "There is also Dr Lindgren."], 0),
        ("who is there other than Dr Osei?", [OFFER], 1),
        ("I can't before 9:20", [OFFER], 1),
        ("is it by phone?", [OFFER], 1),  # how it is was told of none
        ("a slot for 4 of us", [OFFER], 1),
        ("a slot for 4 of us", ["Dr Osei in 4, or Dr Lindgren in 6."], 1),
        ("the one in room 4", ["Dr Osei in 4, or Dr Lindgren in 6."], 0),
        ("the room for 2 hours?", ["Dr Osei in 4, or Dr Lindgren in 6."], 1),
    ],
)
def test_the_user_may_name_a_row(text: str, said: Sequence[str], row: int) -> None:
    assert asking(text, *said) == row


def test_a_value_that_is_asked_about_names_no_row() -> None:
    said = "Dr Osei by phone, or Dr Lindgren by video."
    assert asking("is it by phone?", said, requested=["by"]) == 1
    assert asking("by phone please", said) == 0
    assert asking("is Dr Osei by video?", said, requested=["by"]) == 0


@pytest.mark.parametrize("text", ["is the first one any good?", "is Dr Osei any good?"])
def test_what_the_user_meant_stays_in_focus_until_another_is_told(text: str) -> None:
    turns = [user("who is there", "collect", **LEITH), system(OFFER, "shops", *DOCTORS)]
    turns += [user(text, "collect", **LEITH), system("Yes, very.")]
    then = user("and where is it?", "collect", **LEITH)
    assert now(*turns, then).row == 0
    assert now(*turns, system("Excellent."), then).row == 0
    assert now(*turns, user("Dr Lindgren, then", "collect", **LEITH), system("OK."), then).row == 1
    assert now(*turns, user("another one?", "collect", **LEITH), system("Dr Abe."), then).row == 2


def test_what_is_named_is_asked_of_a_call_before_not_of_a_new_one() -> None:
    turns = [user("who is there", "collect", **LEITH), system(OFFER, "shops", *DOCTORS)]
    asked = [*turns, user("is the first one by video?", "collect", **LEITH)]
    assert now(*asked).row == 0
    assert now(*asked, results=DOCTORS[::-1], action="shops").row is None


def test_another_unit_tells_no_row() -> None:
    assert now(*talk(FLOORS, "There is Ibis, 2 hours away.")).row == 0
    assert now(*talk(FLOORS, "There is Ibis, at 2% off.")).row == 0


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


def test_rows_are_of_what_the_call_was_required_to_be_given() -> None:
    first = user("where is QQ7", "track", tracking_number="QQ7")
    found = system("At the depot.", "find", {"status": "at the depot"})
    found = replace(found, parameters={"tracking_number": "QQ7", "shop": "Spar"})
    same = user("and when", "track", tracking_number="QQ7", shop="Co-op")
    assert now(first, found, same).rows == now(first, found, same, results=found.results).rows
    assert now(first, found, same).rows == found.results
    other = user("and AB1?", "track", tracking_number="AB1")
    assert now(first, found, other).rows == now(first, found, other, results=found.results).rows
    assert now(first, found, other).rows == ()


def test_of_an_offer_that_was_taken_what_is_asked_is_known() -> None:
    rows = ({"doctor": "Dr Osei", "room": "4"}, {"doctor": "Dr Abe", "room": "2"})
    first = user("who is there in leith", "collect", **LEITH)
    found = replace(system("Dr Osei or Dr Abe?", "shops", *rows), parameters={"area": "leith"})
    chosen = {**LEITH, "doctor": "Dr Abe"}
    yes = user("Dr Abe", "collect", **chosen)
    saved = replace(system("Done.", "save"), parameters={"area": "leith", "doctor": "Dr Abe"})

    def known(saved: Turn, *asked: str, **changed: str) -> Sequence[Mapping[str, str]]:
        last = user("where is it?", "collect", asked, **{**chosen, **changed})
        return now(first, found, yes, saved, last).rows

    assert known(saved, "room") == ({"room": "2"},)
    assert known(replace(saved, results=({"day": "friday"},)), "room") == (
        {"day": "friday", "room": "2"},
    )
    assert known(replace(saved, results=({"room": "9"},)), "room") == ({"room": "9"},)
    assert known(saved) == known(saved, "by") == ()
    assert known(saved, "room", doctor="Dr Osei") == ()  # is another
    other = {**saved.parameters, "room": "7"}  # which was booked instead
    assert known(replace(saved, parameters=other), "room") == ()
    # what the call was given before may be otherwise since
    assert known(replace(saved, parameters={"area": "leith"}), "room") == ()


def test_an_emptied_slot_is_news() -> None:
    known = {"tracking_number": "QQ7", "delivery_day": "friday"}
    first, saved = user("QQ7 on friday", "move", **known), system("Done.", "save")
    emptied = user("another day", "move", tracking_number="QQ7")
    assert now(first, saved, emptied).brings_news and not now(first, saved, emptied).done
    assert not now(first, saved, emptied, system("Which?"), emptied).brings_news
    assert not now(first, saved, user("thanks", "move", **known)).brings_news


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
    turn = system_turn(Reply(text, text, "schema", 1.0), understood, rows)
    assert [(span.slot, text[span.start : span.end]) for span in turn.spans] == [("shop", "Spar")]


@pytest.mark.parametrize(("results", "marks"), [(None, ["shop"]), ([], [])])
def test_values_of_the_last_call_are_marked_unless_there_was_another(
    results: Any, marks: Sequence[str]
) -> None:
    text = "There is also Co-op."
    understood = Understanding(Route("parcels"), state=State())
    reply = Reply(text, text, "schema", 1.0)
    turn = system_turn(reply, understood, results, known=OPEN)
    assert ([span.slot for span in turn.spans], turn.results) == (marks, ())


@pytest.mark.parametrize(
    ("text", "hints", "marks"),
    [
        ("A table for 2, for 2 hours?", {}, [("guests", 12)]),
        ("It takes 2 hours.", {}, []),
        ("It takes 2 to 3 working days.", {}, []),
        ("It takes 2 hours.", {"guests": "How many hours it takes"}, [("guests", 9)]),
    ],
)
def test_a_length_of_time_is_no_number_of_people(
    text: str, hints: Mapping[str, str], marks: Sequence[Tuple[str, int]]
) -> None:
    understood = Understanding(Route("tables"), state=State({"guests": ("2",)}))
    turn = system_turn(Reply(text, text, "schema", 1.0), understood, hints=hints)
    assert [(span.slot, span.start) for span in turn.spans] == marks


@pytest.mark.parametrize("word", ["4 ", "Dr Abe ", "the first one ", "$", "not the 1st, ", "(4"])
def test_a_long_message_holds_nobody_up(word: str) -> None:
    said = "Dr Osei in 4, Dr Lindgren in 6, or Dr Abe in 2."
    asking("is Dr Osei any good?", said)  # warm
    begun = time.process_time()
    asking((word * 12_000)[:12_000], said)
    assert time.process_time() - begun < 1


def test_what_is_far_from_the_beginning_names_no_row() -> None:
    hello = "good day to you " * 40
    assert asking(f"is Dr Osei any good? {hello}", OFFER) == 0
    assert asking(f"{hello} is Dr Osei any good?", OFFER) == 1


def test_nor_does_it_set_a_slot_where_no_state_is_known() -> None:
    turns = (Turn("user", "hi"), system("Hello."))
    last = user("by the shore", "collect", area="leith")
    said = (SCHEMA, [*turns, last], last.state)
    assert situate(*said).newly_set == set()
    assert situate(*said, before=State()).newly_set == {"area"}
    assert situate(*said, before=last.state).newly_set == set()
    for text, newly_set in (("in leith", {"area"}), (f"{'now then, ' * 60} in leith", set())):
        assert now(*turns, user(text, "collect", area="leith")).newly_set == newly_set
