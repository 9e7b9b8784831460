"""What a reply may claim."""

from __future__ import annotations

from collections import Counter

import pytest

from rasa_onramp.dialogue import Schema, Slot
from rasa_onramp.generator import Grounding, spotting

SCHEMA = Schema(
    "parcels",
    slots=(
        Slot("tracking_number"),
        Slot("day"),
        Slot("time"),
        Slot("fee"),
        Slot("window", values=("morning", "afternoon", "evening")),
        Slot("late", values=("True", "False")),
    ),
)
GROUNDING = Grounding(
    SCHEMA,
    data=["in transit", "RX4821", "45", "17:00"],
    constants=["We are open 24 hours. Good morning!", "Your fee is $45."],
)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("It is RX4821.", ("RX4821",)),
        ("It is RX9999.", ("RX9999",)),
        ("It costs $45.", ("$45",)),
        ("It costs 45 dollars.", ("45 dollars",)),
        ("It costs 45 USD, or 1 pound.", ("45 USD", "1 pound")),
        ("It comes at 5 pm.", ("5 pm",)),
        ("It comes on the 8th of March", ("8th of March",)),
        ("It comes on March 8", ("March 8",)),
        ("It is In Transit.", ("In Transit",)),
        ("It comes in the evening.", ("evening",)),
        ("You have three parcels", ("three",)),
        ("It's twenty-one.", ("twenty-one",)),
        ("It takes one week.", ("one week",)),
        ("On Friday, or tomorrow at noon?", ("Friday", "tomorrow", "noon")),
        ("One moment, the second one is it true?", ()),
        ("What is the tracking number?", ()),
        ("We are open 24 hours.", ()),
        ("Good morning!", ()),
        ("In the morning, the afternoon or the evening?", ()),
        ("", ()),
    ],
)
def test_without_state_and_results_only_constants_may_be_said(text, claims):
    assert GROUNDING.ungrounded(text, {}) == claims


@pytest.mark.parametrize(
    ("text", "values", "results"),
    [
        ("It is RX9999.", {"tracking_number": "rx9999"}, []),
        ("It comes at 5 pm.", {"time": ("17:00", "five")}, []),
        ("It comes at 5 pm.", {}, [{"time": "17:00"}]),
        ("It comes on March 8th.", {"day": "2019-03-08"}, []),
        ("It costs $45.", {}, [{"fee": 45}]),
        ("I found 3 parcels.", {}, [{"fee": ""}] * 3),
        ("It goes to the 3rd floor.", {"floor": "3"}, []),
        ("It is in transit.", {}, [{"status": "In transit"}]),
        ("It comes in the evening.", {"window": "evening"}, []),
        ("You have three parcels.", {"parcels": "3"}, []),
        ("I found three parcels.", {}, [{"fee": ""}] * 3),
        ("It comes on Friday at noon.", {"day": "fri", "time": "12:00 pm"}, []),
    ],
)
def test_what_the_state_or_the_results_hold_may_be_said(text, values, results):
    assert GROUNDING.ungrounded(text, values, results) == ()


@pytest.mark.parametrize(
    ("text", "values", "claims"),
    [
        ("It comes at 2 pm.", {"parcels": "2"}, ("2 pm",)),
        ("It costs $5.", {"time": "5 pm"}, ("$5",)),
        ("It comes on 5 May.", {"time": "5:00"}, ("5 May",)),
        ("I found 4 parcels.", {}, ("4",)),
        ("I found it. Shall it come the 3rd?", {}, ("3rd",)),
        ("Shall it come the 2nd?", {"parcels": "2"}, ("2nd",)),
        ("It comes in 2 hours.", {"parcels": "2"}, ("2 hours",)),
        ("It comes in two hours.", {"parcels": "2"}, ("two hours",)),
        ("It comes in 2 working days.", {"parcels": "2"}, ("2 working days",)),
        ("It comes in 2-4 days.", {"parcels": "2"}, ("2", "4 days")),
        ("It comes in 2 or four days.", {"parcels": "2"}, ("2", "four days")),
        ("It comes in twenty-two minutes.", {"parcels": "2"}, ("twenty-two minutes",)),
        ("It comes in 3 days.", {"parcels": "2"}, ("3 days",)),  # there are three results
        ("It has 2% off.", {"parcels": "2"}, ("2%",)),
        ("It has 2 percent off.", {"parcels": "2"}, ("2 percent",)),
    ],
)
def test_a_number_with_another_unit_is_another_claim(text, values, claims):
    assert GROUNDING.ungrounded(text, values, [{}] * 3) == claims


@pytest.mark.parametrize(
    ("text", "slot", "description"),
    [
        ("For 2 nights.", "nights", ""),
        ("For 2 days.", "number_of_days", ""),
        ("In 2 working days.", "days", ""),
        ("In two weeks.", "n", "How many weeks it takes"),
        ("It takes 2 hours.", "duration", ""),
        ("It takes 2 hours.", "n", "How long it takes"),
        ("It takes 2 to 2 hours.", "n", "How long it takes"),
        ("It's 2 years old.", "age", ""),
        ("You get 2% off.", "discount", ""),
        ("You get 2 percent.", "n", "Percentage that one gets"),
    ],
)
def test_a_slot_that_holds_numbers_with_this_unit_is_a_reason_for_one(text, slot, description):
    grounding = Grounding(Schema("stays", slots=(Slot(slot, description),)))
    assert grounding.ungrounded(text, {slot: "2"}) == ()
    assert grounding.ungrounded(text, {}, [{slot: "2"}]) == ()
    assert grounding.ungrounded(text, {slot: "3"}) != ()


def test_a_value_with_its_unit_is_a_reason_whatever_its_slot():
    assert GROUNDING.ungrounded("It comes in 2 days.", {"n": "2 days"}) == ()
    assert GROUNDING.ungrounded("It comes in 2 working days.", {"n": "2 days"}) != ()


@pytest.mark.parametrize("claim", ["2 hours", "2%", "two weeks"])
def test_how_long_something_takes_is_always_said_where_one_dialogue_says_it(claim):
    """But where a datum is the same number: then it takes two, as it does for a time."""
    text = f"It takes {claim}."
    assert Grounding(SCHEMA, constants=["It takes 2."]).ungrounded(text, {}) == (claim,)
    assert Grounding(SCHEMA, constants=[text]).ungrounded(text, {}) == ()
    assert Grounding(SCHEMA, ["2"], [text]).ungrounded(text, {}) == (claim,)
    assert Grounding(SCHEMA, ["2"], [text, text]).ungrounded(text, {}) == ()
    assert Grounding(SCHEMA, [claim], [text, text]).ungrounded(text, {}) == (claim,)


def test_the_forms_of_a_datum_are_looked_up_once_however_much_is_said(monkeypatch):
    """Else a domain's first reply takes longer with the square of its dialogues."""
    looked_up = Counter()

    def phrases(value, clock24, real=spotting._patterns):
        looked_up[value] += 1
        return real(value, clock24)

    monkeypatch.setattr(spotting, "_patterns", phrases)
    data = [f"RX{number}" for number in range(30)]
    texts = [f"It is {datum}, or 17 {number}." for number, datum in enumerate(data)]
    grounding = Grounding(SCHEMA, data, texts)
    for text in texts:
        grounding.ungrounded(text, {"day": "friday"})
    once = {*data, "morning", "afternoon", "evening"}
    assert {value: looked_up[value] for value in once} == dict.fromkeys(once, 1)


def test_a_datum_of_a_support_dialogue_is_no_constant_although_a_reply_says_it():
    assert GROUNDING.ungrounded("Your fee is $45.", {}) == ("$45",)
    unaware = Grounding(SCHEMA, data=[], constants=["Your fee is $45."] * 2)
    assert unaware.ungrounded("Your fee is $45.", {}) == ()


@pytest.mark.parametrize(
    "claim", ["5 pm", "$45", "the 9th", "9:30", "March 8", "RX1", "five pm", "Friday", "noon"]
)
def test_a_time_a_date_or_an_amount_said_in_one_dialogue_only_is_its_own(claim):
    once = Grounding(SCHEMA, constants=[f"It is {claim}.", "It is 24."])
    twice = Grounding(SCHEMA, constants=[f"It is {claim}.", f"So {claim} it is."])
    assert once.ungrounded(f"It is {claim}.", {}) == (claim.replace("the ", ""),)
    assert once.ungrounded("It is 24.", {}) == ()
    assert twice.ungrounded(f"It is {claim}.", {}) == ()


@pytest.mark.parametrize(
    "claim",
    ["jane.doe@example.com", "https://a.example/track?of=jane", "https://a.example/t/4711"],
)
def test_a_mail_address_or_personal_link_in_one_dialogue_is_nobody_elses(claim):
    text = f"I've sent it to {claim}."
    assert Grounding(SCHEMA, constants=[text]).ungrounded(text, {}) == (claim,)
    assert Grounding(SCHEMA, constants=[text, text]).ungrounded(text, {}) == ()
    assert Grounding(SCHEMA, constants=[text]).ungrounded(text, {"to": claim}) == ()


def test_the_bots_own_link_is_always_said_where_one_dialogue_says_it():
    text = "See https://shop.example/help for more."
    assert Grounding(SCHEMA, constants=[text]).ungrounded(text, {}) == ()


def test_many_numbers_are_looked_through_in_no_time():
    grounding = Grounding(Schema("stays", slots=(Slot("people", values=("2", "3")),)))
    text = f"2 {'1000 ' * 200}people 3"
    assert "2" in grounding.ungrounded(text, {})


def test_a_number_that_is_never_an_amount_vouches_for_none():
    grounding = Grounding(SCHEMA, plain={"people", "tax"})
    assert grounding.ungrounded("It costs $3.", {"people": "3"}) == ("$3",)
    assert grounding.ungrounded("For 3 people, or three.", {"people": "3"}) == ()
    assert grounding.ungrounded("It costs $3.", {"people": "3", "fee": "3"}) == ()
    assert grounding.ungrounded("It costs $3.", {"tax": "$3"}) == ()


@pytest.mark.parametrize("claim", ["$3", "3 dollars", "3rd"])
def test_how_many_results_there_are_vouches_for_their_number_only(claim):
    rows = [{"fee": ""}] * 3
    assert GROUNDING.ungrounded("It has 3 parcels, three in all.", {}, rows) == ()
    assert GROUNDING.ungrounded(f"It has {claim} in all.", {}, rows) == (claim,)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("For 2 or 3 people?", ()),
        ("For 1, 2, 3?", ()),
        ("For 1 person or rather 2?", ()),
        ("2 nights for 3 people.", ("2", "3")),
        ("Two nights for 3 people.", ("Two", "3")),
    ],
)
def test_listed_numbers_are_offered_with_an_or_or_a_comma_between(text, claims):
    grounding = Grounding(Schema("stays", slots=(Slot("people", values=("1", "2", "3")),)))
    assert grounding.ungrounded(text, {}) == claims


def test_a_listed_value_other_than_the_settled_one_contradicts_it():
    assert GROUNDING.ungrounded("Good morning!", {"window": "evening"}) == ("morning",)
    assert GROUNDING.ungrounded("Good morning!", {"window": "morning"}) == ()
    offer = "In the morning or the afternoon instead?"
    assert GROUNDING.ungrounded(offer, {"window": "evening"}) == ()
    told = "I moved it from the morning; the evening is full."
    assert GROUNDING.ungrounded(told, {"window": "afternoon"}) == ("morning", "evening")
    assert GROUNDING.ungrounded(told, {"window": "morning"}) == ("evening",)
    assert GROUNDING.ungrounded("The morning is free; the evening is full.", {}) == ()


@pytest.mark.parametrize(
    ("text", "values", "names"),
    [
        ("Smith will bring it.", {}, ("Smith",)),
        ("Courier: Smith brings it, Jones doesn't.", {}, ("Courier", "Smith", "Jones")),
        ("Smith will bring it.", {"courier": "smith"}, ()),
        ("Great! It's free. Sending it now, I hope. OK?", {}, ()),
        ("Parcels go out in the Morning.", {}, ()),
    ],
)
def test_a_name_that_begins_a_sentence_is_one_too(text, values, names):
    assert GROUNDING.unknown_names(text, values) == names
