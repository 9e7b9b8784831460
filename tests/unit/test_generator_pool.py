"""Which support replies are shown for a situation: those that fit, the likeliest first."""

from __future__ import annotations

from typing import List, Sequence

import numpy
import pytest
import torch

from rasa_onramp.dialogue import DONTCARE, Turn
from rasa_onramp.generator import likeness as likenesses
from rasa_onramp.generator.likeness import fitting, likeness, weighed
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.generator.situation import relevant_slots
from tiny_replies import SCHEMA, SUPPORT, dialogue, embed, now, system, user

REPLIES = support_replies(SCHEMA, SUPPORT)


@pytest.fixture(scope="module")
def pool() -> ReplyPool:
    return ReplyPool(SCHEMA, REPLIES, embed)


def said(source: str) -> SupportReply:
    return next(reply for reply in REPLIES if reply.source == source)


def one_exchange(*pairs: Sequence[str]) -> ReplyPool:
    """Dialogues of a question and an answer each, which differ in nothing but their texts."""
    dialogues = [
        dialogue(f"e{number}", user(question, "track", tracking_number="AB1"), system(answer))
        for number, (question, answer) in enumerate(pairs)
    ]
    return ReplyPool(SCHEMA, support_replies(SCHEMA, dialogues), angles)


#: Where a user text points to, in degrees; whatever else is said points to 0.
ANGLES = {"here": 0, "near": 30, "far": 80, "opposite": 180}


def angles(texts: Sequence[str]) -> torch.Tensor:
    """Two-dimensional embeddings whose cosines are known."""
    turned = numpy.radians([ANGLES.get(text, 0) for text in texts])
    return torch.from_numpy(numpy.stack([numpy.cos(turned), numpy.sin(turned)], 1))


def texts(replies: Sequence[SupportReply]) -> List[str]:
    return [reply.template.text for reply in replies]


def test_the_likeliest_come_first_and_no_more_than_wanted() -> None:
    pool = one_exchange(
        ("far", "Far."), ("opposite", "Never."), ("here", "Here."), ("near", "Near")
    )
    asked = now(user("here", "track", tracking_number="AB1"))
    assert texts(pool.similar(asked, 9)) == ["Here.", "Near", "Far.", "Never."]
    assert texts(pool.similar(asked, 2)) == ["Here.", "Near"]
    users, systems = pool.text_likeness(asked)
    assert users.tolist() == pytest.approx([0.17365, -1, 1, 0.86603], abs=1e-4)
    assert systems.tolist() == pytest.approx([1, 1, 1, 1])


def test_equally_alike_replies_keep_their_order() -> None:
    pool = one_exchange(("near", "One."), ("near", "Two."), ("near", "Three."))
    asked = now(user("here", "track", tracking_number="AB1"))
    assert texts(pool.similar(asked, 9)) == ["One.", "Two.", "Three."]


def test_no_two_are_worded_alike() -> None:
    """Values aside: "Parcel AB1" and "Parcel AB2" are one wording. The likelier one stays."""
    pool = one_exchange(("far", "AB1 it is."), ("here", "AB1 it is."), ("near", "Fine."))
    asked = now(user("here", "track", tracking_number="XY9"))
    found = pool.similar(asked, 9)
    assert texts(found) == ["{tracking_number} it is.", "Fine."]
    assert found[0].source == "e1#1"


def test_some_dialogues_can_be_left_out(pool: ReplyPool) -> None:
    turns = SUPPORT[2].turns
    asked = now(*turns[:1])
    first = pool.similar(asked, 9)
    assert first[0].source == "d3#1"
    others = pool.similar(asked, 9, leave_out=["d3"])
    assert [reply for reply in first if reply.dialogue != "d3"] == others
    assert not pool.similar(asked, 9, leave_out=["d1", "d2", "d3", "d4"])


def test_only_what_fits_is_shown(pool: ReplyPool) -> None:
    turn = user("where is QQ7", "track", ["status"], tracking_number="QQ7")
    row = {"status": "in transit"}
    assert [r.source for r in pool.similar(now(turn, results=[row], action="find"), 9)] == ["d1#3"]
    assert [r.source for r in pool.similar(now(turn, action="find"), 9)] == ["d2#1"]
    assert [r.source for r in pool.similar(now(turn, action="shops"), 9)] == []
    for each in SUPPORT:
        for number in range(1, len(each.turns), 2):
            told = each.turns[number]
            asked = now(*each.turns[:number], results=told.results, action=told.action)
            found = pool.similar(asked, 9)
            assert f"{each.id}#{number}" in [reply.source for reply in found]
            assert all(fitting(SCHEMA, asked)(reply) for reply in found)


def test_an_empty_pool_finds_nothing() -> None:
    pool = ReplyPool(SCHEMA, (), embed)
    asked = now(user("where is my parcel", "track"))
    assert pool.similar(asked, 2) == []
    assert [len(each) for each in pool.text_likeness(asked)] == [0, 0]


def test_texts_are_embedded_once() -> None:
    calls: List[int] = []

    def counted(some: Sequence[str]) -> torch.Tensor:
        calls.append(len(some))
        return embed(some).requires_grad_(True)

    pool = ReplyPool(SCHEMA, REPLIES, counted)
    assert calls == [len(REPLIES)] * 2
    asked = now(user("where is my stuff", "track", ["status"]))
    assert pool.similar(asked, 9) == ReplyPool(SCHEMA, REPLIES, embed).similar(asked, 9)
    assert calls[2:] == [2]


def test_a_situation_is_wholly_like_itself() -> None:
    for reply in REPLIES:
        alike = likeness(reply, reply.situation, reply.states, 1.0, 1.0)
        unlike = {name: value for name, value in alike.items() if value != 1}
        # a question isn't what is missing in d4#1; what was asked for isn't told in the others
        assert set(unlike) <= {"asks what is missing", "states what is requested"}, reply.source
    assert weighed(likeness(said("d3#1"), said("d3#1").situation, said("d3#1").states, 1, 1)) == 1


def test_likenesses_are_weighed() -> None:
    assert weighed({"user text": 0.5, "intent": 1.0}) == pytest.approx(1.3 / 1.8)
    assert weighed({"user text": -1.0, "opening": 1.0}) == 0
    assert weighed({"user text": 1.0 + 1e-6}) == 1


def test_what_is_shared_counts() -> None:
    """AB3's day is settled; here the day is new, the number missing and the status asked for."""
    asked = now(user("sunday?", "move", ["status"], delivery_day="sunday"))
    found = likeness(said("d3#1"), asked, said("d3#1").states, 0.25, 1.0)
    assert found["user text"] == 0.25
    assert found["intent"] == found["anything new"] == found["opening"] == 1
    assert found["newly set"] == 1 / 2  # the day, of day and number
    assert found["missing"] == found["requested"] == 0
    assert found["states what is requested"] == 0
    assert found["states what is new"] == 1
    # without a call, rows don't count
    assert found["row slots"] == found["row count"] == found["row agrees"] == 1


def test_rows_count_after_a_call() -> None:
    turn = user("in leith", "collect", area="leith")
    rows = [{"shop": "Spar", "status": "open"}] * 4
    found = likeness(said("d2#3"), now(turn, results=rows, action="shops"), frozenset(), 1, 1)
    assert found["row slots"] == 1 / 3  # the shop, of shop, area and status
    assert found["row count"] == 0  # two rows are not many
    assert found["row agrees"] == 1
    elsewhere = now(turn, results=[{"shop": "Spar", "area": "gorgie"}] * 2, action="shops")
    found = likeness(said("d2#3"), elsewhere, frozenset(), 1, 1)
    assert (found["row slots"], found["row count"], found["row agrees"]) == (1, 1, 0)


KNOWN = {"tracking_number": "QQ7", "delivery_day": "friday"}
NUMBER = {"tracking_number": "QQ7"}
DEPOT = {"status": "at the depot"}


@pytest.mark.parametrize(
    ("source", "turns", "fits"),
    [
        ("d1#1", [user("where is it", "track", ["status"])], True),
        # asks for what is known
        ("d1#1", [user("where is QQ7", "track", ["status"], **NUMBER)], False),
        ("d3#1", [user("QQ7 on friday", "move", **KNOWN)], True),
        # answered somebody who had said everything
        ("d3#1", [user("QQ7 another day", "move", **NUMBER)], False),
        # another wish
        ("d3#1", [user("where is QQ7", "track", **NUMBER)], False),
        # takes no notice of what is new
        ("d1#5", [user("hi", "track"), system("Yes?"), user("QQ7", "track", **NUMBER)], False),
        (
            "d1#5",
            [user("QQ7", "track", **NUMBER), system("."), user("bye", "track", **NUMBER)],
            True,
        ),
        # doesn't answer the question
        (
            "d1#5",
            [
                user("QQ7", "track", **NUMBER),
                system("Found.", "find", DEPOT),
                user("is it there?", "track", ["status"], **NUMBER),
            ],
            False,
        ),
        # in scope and out of it
        ("d1#5", [user("QQ7", "track", **NUMBER), system("."), Turn("user", "jazz?")], False),
    ],
)
def test_what_no_likeness_makes_up_for(source: str, turns: List[Turn], fits: bool) -> None:
    assert fitting(SCHEMA, now(*turns))(said(source)) is fits


def test_words_for_any_day_fit_any_day_only() -> None:
    any_day = {"tracking_number": "AB3", "delivery_day": DONTCARE}
    other = dialogue(
        "d5", user("any day", "move", **any_day), system("So any delivery day for AB3 will do.")
    )
    (reply,) = support_replies(SCHEMA, [other])
    assert fitting(SCHEMA, now(user("any day", "move", **any_day)))(reply)
    assert not fitting(SCHEMA, now(user("friday", "move", **KNOWN)))(reply)
    assert not fitting(SCHEMA, now(user("move it", "move")))(reply)


def test_what_was_found_similar_is_remembered_as_it_was_asked() -> None:
    calls: List[int] = []

    def counted(some: Sequence[str]) -> torch.Tensor:
        calls.append(len(some))
        return embed(some)

    pool = ReplyPool(SCHEMA, REPLIES, counted)
    row = {"status": "in transit"}
    turn = user("where is QQ7", "track", ["status"], tracking_number="QQ7")
    situations = [
        now(turn),
        now(turn, action="find"),
        now(turn, results=[row], action="find"),
        now(turn, results=[{"status": "at the depot"}], action="find"),
        now(user("where is QQ7", "track", ["status"], tracking_number="QQ8")),
        now(user("where is QQ7", "track", tracking_number="QQ7")),
        now(user("move AB3 to sunday", "move", tracking_number="AB3", delivery_day="sunday")),
    ]
    asked = [
        (each, count, leave_out)
        for each in situations
        for count in (1, 9)
        for leave_out in ((), ("d1",), ["d3", "d1"])
    ]
    for _ in range(2):
        for each, count, leave_out in asked:
            afresh = ReplyPool(SCHEMA, REPLIES, embed).similar(each, count, leave_out=leave_out)
            assert pool.similar(each, count, leave_out=leave_out) == afresh
    assert pool.similar(situations[0], 9, leave_out={"d1", "d3"}) == pool.similar(
        situations[0], 9, leave_out=("d3", "d1")
    )
    few = ReplyPool(SCHEMA, REPLIES, counted)
    calls.clear()
    for _ in range(3):
        few.similar(situations[0], 2)
    assert calls == [2]
    for number in range(500):
        few.similar(now(user(f"where is {number}", "track")), 2)
    assert few._found.bytes <= 256 * len(REPLIES)


def test_what_is_known_of_a_situation_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many replies there are."""
    asked: List[object] = []

    def counted(*given):
        asked.append(given)
        return relevant_slots(*given)

    monkeypatch.setattr(likenesses, "relevant_slots", counted)
    pool = ReplyPool(SCHEMA, REPLIES * 5, embed)
    turn = now(user("where is it", "track", ["status"]))
    assert pool.similar(turn, 2) and list(pool.fitting(turn))
    assert len(asked) == 2
