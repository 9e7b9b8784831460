"""What a reply claims to have been done, against what was."""

from __future__ import annotations

import pytest

from rasa_onramp.generator.outcomes import Outcomes, denies
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.generator.situation import Situation
from tiny_replies import SCHEMA, SUPPORT, embed, now, user

REPLIES = support_replies(SCHEMA, SUPPORT)
MOVE = user("move AB9 to monday", "move", tracking_number="AB9", delivery_day="monday")
OUTCOMES = Outcomes(SCHEMA, REPLIES, embed)

ASKED = now(MOVE)
FOUND = now(MOVE, results=[{"status": "at the depot"}], action="find")
NOTHING = now(MOVE, action="find")


@pytest.mark.parametrize(
    ("text", "situation", "claims"),
    [
        ("So that is {tracking_number}, {delivery_day}. Is that right?", ASKED, False),
        ("Parcel {tracking_number} is {status} and due {expected_day}.", FOUND, False),
        ("Parcel {tracking_number} is {status} and due {expected_day}.", ASKED, True),
        ("Parcel {tracking_number} is {status} and due {expected_day}.", NOTHING, True),
        ("Sorry, I can't find {tracking_number}.", NOTHING, False),
        ("Sorry, I can't find {tracking_number}.", FOUND, True),
        ("Goodbye!", NOTHING, True),  # nobody is told that nothing was found
        ("There is no {tracking_number} here.", NOTHING, False),  # in words of its own
        ("Hm, let me think about that for a while.", ASKED, False),  # like none of them
    ],
)
def test_a_reply_tells_the_outcome_at_hand(text: str, situation: Situation, claims: bool) -> None:
    assert OUTCOMES.claims_another(text, situation) is claims


def test_only_at_the_end_is_a_farewell_said() -> None:
    assert OUTCOMES.claims_another("Goodbye!", ASKED, at_end=False)
    assert not OUTCOMES.claims_another("Goodbye!", ASKED, at_end=True)
    asked = "So that is {tracking_number}, {delivery_day}. Is that right?"
    assert not OUTCOMES.claims_another(asked, ASKED, at_end=False)


def test_a_call_that_has_nothing_to_tell_has_succeeded() -> None:
    saved = now(MOVE, action="save")
    assert not OUTCOMES.claims_another("Done: {delivery_day}. Anything else?", saved)
    assert not OUTCOMES.claims_another("It is moved for you.", saved)


def test_without_support_only_nothing_found_is_known() -> None:
    nothing_known = Outcomes(SCHEMA, (), embed)
    assert nothing_known.claims_another("It is booked.", NOTHING)
    assert not nothing_known.claims_another("It isn't there.", NOTHING)
    assert not nothing_known.claims_another("It is booked.", FOUND)


@pytest.mark.parametrize(
    ("text", "so"),
    [
        ("I couldn't book it.", True),
        ("Nothing there, sorry", True),
        ("That was unsuccessful.", True),
        ("NOT FOUND", True),
        ("Can't find it.", True),
        ("No problem, it's booked.", False),
        ("Sorry for the wait, it is booked.", False),
        ("I caught a nut in my net.", False),
        ("I know a notable noon train.", False),
        ("Your {no_show_fee} is due.", False),
    ],
)
def test_denying(text: str, so: bool) -> None:
    assert denies(text) is so
