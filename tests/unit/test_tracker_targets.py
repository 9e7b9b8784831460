"""What each query should point at."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_onramp.dialogue import DONTCARE, Schema, Slot, Span, State, Turn
from rasa_onramp.tracker.prompt import Prompt
from rasa_onramp.tracker.targets import Targets, known_before, label, unsaid
from tiny_tracker import CAFE, booking, bookings, prompt_of, system, user

COLUMN = {"guest_name": 0, "seating": 1, "visit_day": 2, "intent": 3, "action": 4}
Known = Mapping[str, Tuple[str, ...]]


def labelled(
    turns: Sequence[Turn], *asked: int, known: Optional[Sequence[Known]] = None
) -> Tuple[Prompt, Targets]:
    before = known if known is not None else [known_before(turns)[i] for i in asked]
    prompt = prompt_of(turns, *asked, known=before)
    return prompt, label(prompt, before)


def spots(prompt: Prompt, targets: Targets, what: str, turn: int = 0) -> List[str]:
    """What the targets of a query say: a special target's name, or the text it points at."""
    query = turn * prompt.queries_a_turn + COLUMN[what]
    schema = prompt.schema
    names = {schema.none: "NONE", schema.any: "ANY", schema.clear: "CLEAR"}
    for places in (*schema.targets, schema.intents, schema.actions):
        names.update({place: f"<{name}>" for name, place in places.items()})
    found = []
    for number, first, last in targets.points:
        if number != query:
            continue
        if first in names:
            assert first == last
            found.append(names[first])
        else:
            where = int(prompt.utterance[first])
            text = prompt.turns[where].text[prompt.start[first] : prompt.end[last]]
            found.append(f"{where}:{text}")
    return found


def one(turns: Sequence[Turn], what: str, known: Optional[Known] = None) -> List[str]:
    """The targets of the last turn's query."""
    prompt, targets = labelled(turns, len(turns) - 1, known=None if known is None else [known])
    return spots(prompt, targets, what)


def test_a_booking_from_beginning_to_end() -> None:
    prompt, targets = labelled(booking(0).turns, 0, 2, 4)

    def said(what: str) -> List[List[str]]:
        return [spots(prompt, targets, what, turn) for turn in range(3)]

    assert said("visit_day") == [["0:monday"], ["NONE"], ["NONE"]]
    assert said("seating") == [["NONE"], ["<inside>"], ["NONE"]]
    assert said("guest_name") == [["NONE"], ["NONE"], ["4:anna"]]
    assert said("intent") == [["<BookTable>"]] * 3
    assert said("action") == [["NONE"], ["NONE"], ["<BookTable>"]]
    assert not targets.requested.any()


def test_dont_care_is_pointed_at() -> None:
    for slot in ("visit_day", "seating"):
        assert one([user("any will do", {slot: DONTCARE})], slot) == ["ANY"]
        known = {slot: (DONTCARE,)}
        assert one([user("any will do", {slot: DONTCARE})], slot, known) == ["NONE"]


def test_a_slot_that_is_given_up_is_cleared() -> None:
    known = {"visit_day": ("monday",), "seating": ("bar",)}
    turns = [user("forget the day and the seat", {})]
    assert one(turns, "visit_day", known) == one(turns, "seating", known) == ["CLEAR"]
    assert one(turns, "guest_name", known) == ["NONE"]


def test_an_equivalent_spelling_is_no_change() -> None:
    turns = [user("on friday then", {"visit_day": "Friday|the 3rd"})]
    assert one(turns, "visit_day", {"visit_day": ("the 3RD",)}) == ["NONE"]
    assert one(turns, "visit_day", {"visit_day": ("the 4th",)}) == ["0:friday"]


def test_listed_values_are_found_whatever_their_case() -> None:
    assert one([user("outside", {"seating": "Terrace"})], "seating") == ["<terrace>"]
    # of equivalent values one is enough, and what is listed counts
    assert one([user("outside", {"seating": "Garden|bar|inside"})], "seating") == ["<bar>"]
    # a listed slot is never looked for in the text
    assert one([user("the garden please", {"seating": "garden"})], "seating") == []


def test_marks_come_before_other_mentions() -> None:
    """The same words elsewhere, even later, aren't what the mark says."""
    turns = [
        user("for anna, please", {}, marks={}),
        system("is anna the name?", marks={"guest_name": "anna"}),
        user("yes, and anna will bring cake", {"guest_name": "Anna"}),
    ]
    assert one(turns, "guest_name") == ["1:anna"]


def test_every_mark_of_the_value_is_right() -> None:
    turns = [
        user("under anna", {}, marks={"guest_name": "anna"}),
        system("under anna, yes?", marks={"guest_name": "anna"}),
        user("yes", {"guest_name": "anna"}),
    ]
    assert sorted(one(turns, "guest_name")) == ["0:anna", "1:anna"]


def test_marks_of_other_slots_and_values_do_not_count() -> None:
    turns = [
        user("bruno", {}, marks={"guest_name": "bruno"}),
        system("friday?", marks={"visit_day": "friday"}),
        user("friday", {"guest_name": "friday"}),
    ]
    assert one(turns, "guest_name") == ["2:friday"]


def test_the_latest_verbatim_mention_is_taken_with_all_in_that_turn() -> None:
    turns = [
        user("friday or saturday?", {}),
        system("Friday is free, friday evening too"),
        user("great, that one", {"visit_day": "friday"}),
    ]
    assert one(turns, "visit_day") == ["1:Friday", "1:friday"]


@pytest.mark.parametrize("day", ["friday", "fri", "$5", "the 3rd", "monday|FRIDAY", DONTCARE])
@pytest.mark.parametrize("marked", [False, True])
def test_what_is_unsaid_can_not_be_pointed_at(day: str, marked: bool) -> None:
    turns = [
        user("anna or bruno?", {}),
        system("on friday for $5.50", marks={"visit_day": "friday"} if marked else {}),
        user("bruno, in the bar", {"visit_day": day, "guest_name": "bruno", "seating": "garden"}),
        system("ok"),
        user("good", {"visit_day": day, "guest_name": "Bruno", "seating": "garden"}),
    ]
    found = [] if one(turns[:3], "visit_day") else [(2, "visit_day", day)]
    assert list(unsaid(CAFE, turns)) == found


def test_only_whole_words_are_mentions() -> None:
    turns = [user("fridays are bad, on friday's eve", {"visit_day": "friday"})]
    assert one(turns, "visit_day") == ["0:friday"]
    assert one([user("anna-lena and joanna", {"guest_name": "anna"})], "guest_name") == ["0:anna"]
    assert one([user("it costs $5.50", {"guest_name": "$5"})], "guest_name") == ["0:$5"]


def test_what_cannot_be_pointed_at_is_not_trained_on() -> None:
    prompt, targets = labelled([user("the day after next", {"visit_day": "2024-05-03"})], 0)
    assert spots(prompt, targets, "visit_day") == []
    assert spots(prompt, targets, "guest_name") == ["NONE"]  # its neighbours are
    assert one([user("mondayish", {"visit_day": "monday"})], "visit_day") == []


def test_a_value_said_only_later_is_not_looked_at() -> None:
    turns = [
        user("the usual day", {"visit_day": "friday"}),
        system("friday it is", marks={"visit_day": "friday"}),
    ]
    prompt, targets = labelled(turns, 0)
    assert spots(prompt, targets, "visit_day") == []


def test_a_value_beyond_the_window_or_the_cut_is_unreachable() -> None:
    text = "word " * 130 + "friday"
    late = {"visit_day": "friday"}
    assert one([user(text, late, marks=late)], "visit_day") == []


def test_forgotten_values_are_picked_up_where_they_were_said() -> None:
    turns = [*booking(0).turns[:3]]
    assert one(turns, "visit_day", known={}) == ["1:monday", "0:monday"]


def test_requested_slots() -> None:
    turns = [user("which days and seats?", {}, requested=("visit_day", "seating", "unknown"))]
    _, targets = labelled(turns, 0)
    assert targets.requested.tolist() == [0, 1, 1, 0, 0]


def test_intents_and_actions_that_the_schema_lacks_are_none() -> None:
    turns = [user("hm", {}, intent="Whatever"), system("well", "another_api")]
    prompt, targets = labelled(turns, 0)
    assert spots(prompt, targets, "intent") == spots(prompt, targets, "action") == ["NONE"]
    assert one([user("hi", {}, intent=None)], "intent") == ["NONE"]


def test_an_action_belongs_to_the_reply() -> None:
    turns = [user("any days?", {}), system("monday", "find_days"), user("thanks", {})]
    prompt, targets = labelled(turns, 0, 2)
    assert spots(prompt, targets, "action", 0) == ["<find_days>"]
    assert spots(prompt, targets, "action", 1) == []  # nobody knows what is done after it
    asked = [user("any days?", {}), user("hello?", {}), system("monday", "find_days")]
    assert spots(*labelled(asked, 0, 1), "action", 0) == []
    assert spots(*labelled(asked, 0, 1), "action", 1) == ["<find_days>"]


def test_turns_about_something_else_change_nothing() -> None:
    turns = [
        user("a table on monday", {"visit_day": "monday"}),
        system("sure"),
        user("what's the weather on friday?", None, marks={"visit_day": "friday"}),
        system("sunny", "find_days"),
    ]
    prompt, targets = labelled(turns, 0, 2)
    for what in COLUMN:
        assert spots(prompt, targets, what, 1) == ["NONE"]
    assert not targets.requested.any()


def test_known_values_are_those_of_the_last_state() -> None:
    turns = [
        user("monday", {"visit_day": "monday"}),
        system("ok"),
        user("lovely weather", None),
        system("yes"),
        user("inside, and any day", {"seating": "inside", "visit_day": DONTCARE}),
    ]
    monday = {"visit_day": ("monday",)}
    assert known_before(turns) == [{}, monday, monday, monday, monday]
    assert known_before([*turns, turns[0]])[-1] == {
        "seating": ("inside",),
        "visit_day": (DONTCARE,),
    }


WORDS = st.text(alphabet=st.sampled_from("abcXYZ éÉßİıÀ'-.,$5"), min_size=1, max_size=12).filter(
    lambda s: s.strip() == s
)
SURROUNDING = st.text(alphabet=st.sampled_from("abcXYZ éÉßİıÀ'-.,$5"), max_size=12)


@given(WORDS, SURROUNDING, SURROUNDING, st.booleans())
def test_what_is_pointed_at_is_the_value(value: str, left: str, right: str, mark: bool) -> None:
    """In any script: lower-casing some letters changes a text's length."""
    text = f"{left} {value} {right}"
    start = len(left) + 1
    spans = (Span("visit_day", start, start + len(value)),) if mark else ()
    turn = Turn("user", text, State({"visit_day": (value,)}), spans=spans)
    found = one([turn], "visit_day")
    assert found
    assert all(where.split(":", 1)[1].lower() == value.lower() for where in found)


@pytest.mark.parametrize("number", range(12))
def test_every_query_of_a_clean_dialogue_has_an_answer(number: int) -> None:
    dialogue = bookings(12)[number]
    asked = [i for i, turn in enumerate(dialogue.turns) if turn.is_user]
    prompt, targets = labelled(dialogue.turns, *asked)
    queries = {query for query, _, _ in targets.points}
    assert queries == set(range(len(asked) * prompt.queries_a_turn))


def test_slots_of_other_schemas_in_the_state_are_left_alone() -> None:
    schema = Schema("Small", slots=(Slot("visit_day"),))
    turns = [user("anna, friday", {"visit_day": "friday", "guest_name": "anna"}), system("ok")]
    prompt = prompt_of(turns, 0, schema=schema)
    points: Dict[int, int] = {}
    for query, _, _ in label(prompt, [{}]).points:
        points[query] = points.get(query, 0) + 1
    assert points == {0: 1, 1: 1, 2: 1}
    assert CAFE.slots[0].name == "guest_name"
