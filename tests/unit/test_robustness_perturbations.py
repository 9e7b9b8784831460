"""bench/robustness.py's perturbations: marks stay true, and what should be wrong is wrong."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, Slot, Span, State, Turn
from rasa_onramp.formats import read
from robustness_parts.support import mentions, mislabelled, without_a_slot
from robustness_parts.typos import NEIGHBOURS, mistyped, recased
from tiny_tracker import CAFE, bookings, system, user

DATA = Path(__file__).parents[2] / "dialogue_data"
CORPORA = [read(path) for path in sorted(DATA.glob("*.yml"))]
DIALOGUES: List[Tuple[Schema, Dialogue]] = [
    (corpus.schemas[d.domain], d) for corpus in CORPORA for d in corpus.dialogues
]


def pairs(before: Dialogue, after: Dialogue) -> Iterator[Tuple[Turn, Turn]]:
    assert len(before.turns) == len(after.turns)
    return zip(before.turns, after.turns)


def marked(turn: Turn) -> List[Tuple[str, str]]:
    return sorted((s.slot, turn.text[s.start : s.end]) for s in turn.spans)


def test_neighbours_lie_around_a_key_and_go_both_ways() -> None:
    assert sorted(NEIGHBOURS["s"]) == sorted("adwezx")
    assert sorted(NEIGHBOURS["q"]) == sorted("wa")
    assert sorted(NEIGHBOURS["p"]) == sorted("ol")
    assert sorted(NEIGHBOURS["m"]) == sorted("njk")
    assert all(key in NEIGHBOURS[other] for key in NEIGHBOURS for other in NEIGHBOURS[key])
    assert len(NEIGHBOURS) == 26


def test_slips_hit_neighbours_and_spare_values_and_the_bot() -> None:
    slips = 0
    for _, dialogue in DIALOGUES:
        for before, after in pairs(dialogue, mistyped(dialogue, random.Random(1), 0.5)):
            if not before.is_user:
                assert after == before
                continue
            assert after.state == before.state and marked(after) == marked(before)
            assert after.spans == before.spans  # a slip changes no length
            wrong = [(a, b) for a, b in zip(before.text, after.text) if a != b]
            assert all(b.lower() in NEIGHBOURS[a.lower()] for a, b in wrong)
            assert all(a.isupper() == b.isupper() for a, b in wrong)
            slips += len(wrong)
            for values in before.state.values.values() if before.state else ():
                for value in values:  # also those that no mark is on
                    word = rf"(?i)(?<!\w){re.escape(value)}(?!\w)"
                    assert re.findall(word, after.text) == re.findall(word, before.text)
    assert slips > 500


def test_a_share_of_the_words_is_mistyped() -> None:
    text = "could somebody please bring another table over here quickly today"  # ten words
    dialogue = Dialogue("d", CAFE.name, (user(text, {}),) * 200)
    for rate in (0.0, 0.05, 0.2, 1.0):
        typed = mistyped(dialogue, random.Random(0), rate)
        words = [
            a != b
            for before, after in pairs(dialogue, typed)
            for a, b in zip(before.text.split(), after.text.split())
        ]
        assert sum(words) / len(words) == pytest.approx(rate, abs=0.02)


def test_more_typos_are_the_same_ones_and_others() -> None:
    for _, dialogue in DIALOGUES[:20]:
        few, many, too = (
            mistyped(dialogue, random.Random(3), rate, values=values)
            for rate, values in ((0.1, False), (0.4, False), (0.4, True))
        )
        for place in range(len(dialogue.turns)):
            texts = (d.turns[place].text for d in (dialogue, few, many, too))
            for plain, one, two, three in zip(*texts):
                assert one in (plain, two) and two in (plain, three)


def test_values_can_be_mistyped_too() -> None:
    text = "a table on the terrace on monday"
    turn = user(text, {"visit_day": "monday", "seating": "terrace"}, marks={"visit_day": "monday"})
    dialogue = Dialogue("d", CAFE.name, (turn,))
    whole = mistyped(dialogue, random.Random(0), 1.0).turns[0]
    assert whole.text.endswith("monday") and "terrace" in whole.text and whole.text != text
    broken = mistyped(dialogue, random.Random(0), 1.0, values=True).turns[0]
    assert broken.state == turn.state and broken.spans == turn.spans
    assert "terrace" not in broken.text
    ((slot, value),) = marked(broken)
    assert slot == "visit_day" and value != "monday" and len(value) == 6


def test_the_longest_of_values_that_overlap_is_kept_whole() -> None:
    schema_values = {"seating": "bar|terrace bar"}
    dialogue = Dialogue("d", CAFE.name, (user("put us in the terrace bar there", schema_values),))
    for seed in range(10):
        assert " terrace bar " in mistyped(dialogue, random.Random(seed), 1.0).turns[0].text


def test_other_cases_leave_marks_in_place() -> None:
    turn = Turn(
        "user", "die Straße nach Köln", State({"to": ("Köln",)}), spans=(Span("to", 16, 20),)
    )
    dialogue = Dialogue("d", "x", (turn, Turn("system", "Nach Köln?")))
    upper = recased(dialogue, str.upper)
    assert upper.turns[0].text == "DIE STRAßE NACH KÖLN"
    assert marked(upper.turns[0]) == [("to", "KÖLN")]
    assert upper.turns[1] == dialogue.turns[1] and upper.turns[0].state == turn.state
    assert recased(dialogue, str.lower).turns[0].text == "die straße nach köln"


def test_the_same_seed_gives_the_same_noise() -> None:
    for schema, dialogue in DIALOGUES[:10]:
        for rate, values in ((0.1, False), (0.3, True)):
            one, two = (mistyped(dialogue, random.Random(7), rate, values=values) for _ in "ab")
            assert one == two
        assert mislabelled([dialogue], schema, random.Random(7)) == mislabelled(
            [dialogue], schema, random.Random(7)
        )


def states(dialogue: Dialogue) -> List[State]:
    return [t.state for t in dialogue.turns if t.state is not None]


@pytest.mark.parametrize("seed", range(5))
def test_one_of_five_dialogues_is_labelled_wrongly_throughout(seed: int) -> None:
    support = bookings(5)
    wrong = mislabelled(support, CAFE, random.Random(seed))
    changed = [(a, b) for a, b in zip(support, wrong) if a != b]
    ((before, after),) = changed
    assert [t.text for t in before.turns] == [t.text for t in after.turns]
    for old, new in zip(states(before), states(after)):
        assert new.values.keys() == old.values.keys()
        assert new.active_intent == old.active_intent
        assert all(new.values[slot] != old.values[slot] for slot in old.values)
        assert new.values.get("seating", ("bar",))[0] in CAFE.slot("seating").values
    last = states(after)[-1].values
    for state in states(after):  # wrong in the same way all along
        assert all(last[slot] == given for slot, given in state.values.items())
    # a free slot holds what another slot of the dialogue holds, which the text has
    (name,) = last["guest_name"]
    assert name in {v for s in states(before) for given in s.values.values() for v in given}


def test_marks_that_disagree_with_wrong_labels_are_dropped_the_bots_own_stay() -> None:
    before = bookings(1)[0]
    (after,) = mislabelled([before], CAFE, random.Random(0))
    assert all(marked(t) == [] for t in after.turns if t.is_user)
    assert [t.spans for t in after.turns if not t.is_user] == [
        t.spans for t in before.turns if not t.is_user
    ]


def test_the_share_of_wrong_dialogues() -> None:
    for size, count in ((1, 1), (2, 1), (5, 1), (10, 2), (12, 2)):
        support = bookings(12)[:size]
        wrong = mislabelled(support, CAFE, random.Random(0))
        assert sum(a != b for a, b in zip(support, wrong)) == count


def test_wrong_labels_come_from_elsewhere_where_a_dialogue_has_one_slot_only() -> None:
    one = Dialogue("1", CAFE.name, (user("on monday", {"visit_day": "monday"}),))
    two = Dialogue("2", CAFE.name, (user("on friday", {"visit_day": "friday"}),))
    for seed in range(4):
        first, second = mislabelled([one, two], CAFE, random.Random(seed))
        assert {states(first)[0].values["visit_day"], states(second)[0].values["visit_day"]} in (
            {("friday",)},
            {("monday",)},
        )
    alone = states(mislabelled([one], CAFE, random.Random(0))[0])[0]
    assert alone.values == {"visit_day": (DONTCARE,)}
    any_day = Dialogue("3", CAFE.name, (user("any day", {"visit_day": DONTCARE}),))
    assert states(mislabelled([any_day], CAFE, random.Random(0))[0])[0].values == {}


def test_nothing_to_mislabel() -> None:
    silent = Dialogue("1", CAFE.name, (user("hello", {}),))
    assert mislabelled([silent], CAFE, random.Random(0)) == (silent,)


NAMED = bookings(6)
NAMELESS = tuple(
    Dialogue(
        f"nameless-{n}",
        CAFE.name,
        (user(f"a table on {day}", {"visit_day": day}), system("inside, terrace or bar?")),
    )
    for n, day in enumerate(("monday", "friday", "sunday", "tuesday"))
)


def test_who_mentions_a_slot() -> None:
    turn = user("which day?", {})
    assert not mentions(NAMELESS[0], "guest_name") and mentions(NAMED[0], "guest_name")
    assert turn.state is not None
    ways = (
        replace(turn, state=State({"visit_day": ("monday",)})),
        replace(turn, state=State(requested_slots=("visit_day",))),
        replace(turn, spans=(Span("visit_day", 0, 5),)),
        Turn("system", "booked", parameters={"visit_day": "monday"}),
    )
    assert all(mentions(Dialogue("d", CAFE.name, (way,)), "visit_day") for way in ways)
    # what a result holds isn't said
    found = Turn("system", "booked", results=({"visit_day": "monday"},))
    assert not mentions(Dialogue("d", CAFE.name, (turn, found)), "visit_day")


def test_a_support_set_without_a_slot_keeps_what_it_can() -> None:
    support = (NAMED[0], NAMELESS[0], NAMED[1])
    reserve = (NAMED[2], *NAMELESS[1:])
    slot, chosen = without_a_slot(support, reserve, [NAMED[5]]) or ("", ())
    # seating is set in more held-out turns than guest_name; visit_day nobody does without
    assert slot == "seating"
    assert chosen == (NAMELESS[0], NAMELESS[1], NAMELESS[2])


def test_no_slot_can_be_missed() -> None:
    # nobody does without the day; seats and names: too few dialogues, or none held out
    assert without_a_slot(NAMED[:3], NAMELESS[:2], [NAMED[5]]) is None
    assert without_a_slot(NAMED[:2], NAMELESS, [NAMELESS[3]]) is None
    # and one that the support never mentioned isn't newly missed
    assert without_a_slot(NAMELESS[:2], NAMELESS[2:], [NAMED[5]]) is None


def test_typos_spare_a_listed_value_in_a_schema_of_another_case() -> None:
    slot = Slot("size", values=("Large",))
    dialogue = Dialogue(
        "d", "x", (Turn("user", "the large one there", State({"size": slot.values})),)
    )
    for seed in range(5):
        assert " large " in mistyped(dialogue, random.Random(seed), 1.0).turns[0].text
