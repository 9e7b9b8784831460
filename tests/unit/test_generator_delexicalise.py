"""Replies to templates and back."""

from __future__ import annotations

import time

import pytest

from rasa_onramp.dialogue import DONTCARE, Span
from rasa_onramp.generator import Placeholder, Template, delexicalise, fill


def mark(text, *slots):
    """Spans for the [bracketed] parts of a text, and the text without brackets."""
    spans = []
    for slot in slots:
        start = text.index("[")
        end = text.index("]") - 1
        text = text.replace("[", "", 1).replace("]", "", 1)
        spans.append(Span(slot, start, end))
    return text, tuple(spans)


CASES = [
    (
        "Parcel RX4821 arrives Friday at 5 pm, for $45.",
        {"tracking_number": "rx4821", "day": ("friday",), "time": "17:00"},
        [{"fee": "45"}],
        "Parcel {tracking_number} arrives {day} at {time}, for {fee}.",
    ),
    (
        "Links News or Whitehouse?",
        {},
        [{"shop": "Links News"}, {"shop": "Whitehouse"}],
        "{shop} or {shop_2}?",
    ),
    (
        "I found 3 shops. The nearest is Links News.",
        {},
        [{"shop": "Links News"}, {"shop": "Whitehouse"}, {"shop": "Co-op"}],
        "I found {results_count} shops. The nearest is {shop}.",
    ),
    ("It is RX4821's turn (RX4821).", {"id": "RX4821"}, [], "It is {id}'s turn ({id})."),
    ("Platform 2 of RX2, room 12", {"platform": "2"}, [], "Platform {platform} of RX2, room 12"),
    (
        "Two tickets for March 8th",
        {"tickets": "2", "day": "2019-03-08"},
        [],
        "{tickets} tickets for {day}",
    ),
    ("It costs 45 dollars a month", {"price": "$45"}, [], "It costs {price} a month"),
    ("One moment, I'll look.", {"tickets": "1"}, [], "One moment, I'll look."),
    (
        "Which second option is true?",
        {"late": "True", "n": "2"},
        [],
        "Which second option is true?",
    ),
    ("New York City or New York?", {"a": "New York", "b": "New York City"}, [], "{b} or {a}?"),
    ("Any day will do?", {"day": DONTCARE}, [], "Any day will do?"),
    ("Nothing to replace.", {}, [], "Nothing to replace."),
    ("", {"day": "friday"}, [], ""),
]


@pytest.mark.parametrize(("text", "values", "results", "template"), CASES)
def test_a_text_becomes_a_template_and_the_template_the_text(text, values, results, template):
    found = delexicalise(text, values, results)
    assert found.text == template
    assert fill(found, values, results) == text


def test_filling_with_other_values_keeps_the_style_of_the_text():
    template = delexicalise(
        "Done: Friday at 5 pm for $45.", {"day": "friday", "time": "17:00"}, [{"fee": "45"}]
    )
    assert fill(template, {"day": "monday", "time": "09:30"}, [{"fee": "7.5"}]) == (
        "Done: Monday at 9:30 am for $7.50."
    )
    assert fill(template, {"day": "the 9th", "time": "before noon"}, [{"fee": "£8"}]) == (
        "Done: the 9th at before noon for £8."
    )


def test_a_mark_says_which_slot_where_two_hold_one_value():
    text, spans = mark("From [friday] until monday", "until")
    template = delexicalise(text, {"day": "friday", "until": "friday"}, spans=spans)
    assert template.text == "From {until} until monday"


def test_without_a_mark_a_word_of_the_slots_name_nearby_decides():
    values = {"bedrooms": "2", "bathrooms": "2"}
    text = "A flat with 2 bathrooms"
    assert delexicalise(text, values).text == "A flat with {bathrooms} bathrooms"
    hinted = delexicalise("Baths: 2", {"a": "2", "b": "2"}, hints={"b": "How many baths it has"})
    assert hinted.text == "Baths: {b}"


def test_a_stop_word_of_a_description_is_no_evidence():
    rows = [{"flat": "A"}, {"flat": "B"}]
    hints = {"bedrooms": "Number of rooms in the flat", "area": "Where the flats are"}
    template = delexicalise("I found 2 homes in the area.", {"bedrooms": "2"}, rows, hints=hints)
    assert template.text == "I found {results_count} homes in the area."
    template = delexicalise("I found one with 2 rooms.", {"bedrooms": "2"}, rows, hints=hints)
    assert template.text == "I found one with {bedrooms} rooms."
    # words of a slot's name count whatever they are
    assert delexicalise("The top: 2 others", {"top": "2", "n": "2"}).text == "The top: {top} others"


def test_long_after_a_call_a_number_in_the_state_is_no_count():
    values, rows = {"party_size": "2"}, [{"shop": "A"}, {"shop": "B"}]
    template = delexicalise("I have you down for 2 at 7.", values, rows, fresh=False)
    assert template.text == "I have you down for {party_size} at 7."
    template = delexicalise("I see 2 there.", values, rows, fresh=False)
    assert template.text == "I see {party_size} there."
    template = delexicalise("I see 2 there.", values, rows)
    assert template.text == "I see {results_count} there."
    template = delexicalise("I have a table for 2.", values, rows)
    assert template.text == "I have a table for {party_size}."
    template = delexicalise("I see a party of 2.", values, rows)
    assert template.text == "I see a party of {party_size}."
    template = delexicalise("I found a total of 2.", values, rows)
    assert template.text == "I found a total of {results_count}."
    # what no value holds is counted
    template = delexicalise("I see 2 there.", {"party_size": "3"}, rows, fresh=False)
    assert template.text == "I see {results_count} there."


def test_of_rivals_with_one_value_none_is_trusted_until_they_agree():
    template = delexicalise("That makes 2.", {"adults": "2", "nights": "2"})
    assert len(template.placeholders) == 1
    assert fill(template, {"adults": "3", "nights": "3"}) == "That makes 3."
    assert fill(template, {"adults": "3", "nights": "2"}) is None
    assert fill(template, {"adults": "3"}) is None


def test_rivals_may_agree_in_another_spelling():
    values = {"adults": "2", "nights": "two"}
    template = delexicalise("That makes 2.", values)
    assert template.placeholders[0].rivals == ("nights",)
    assert fill(template, values) == "That makes 2."
    assert fill(template, {"adults": "3", "nights": ("III", "three")}) == "That makes 3."
    assert fill(template, {"adults": "3", "nights": "two"}) is None
    # "$3" says more than 3 does, and so does "3rd"
    assert fill(template, {"adults": "$3", "nights": "3"}) is None
    assert fill(template, {"adults": "3rd", "nights": "3"}) is None


def test_rivals_of_which_one_is_in_the_results_agree_with_the_other_in_the_state():
    template = delexicalise("Off to Paris.", {"destination": "Paris"}, [{"city": "Paris"}])
    assert template.placeholders[0].rivals == ("destination",)
    assert fill(template, {"destination": "Rome"}, [{"city": "Rome"}]) == "Off to Rome."
    assert fill(template, {"destination": "Rome"}, [{"city": "Oslo"}]) is None
    assert fill(template, {}, [{"city": "Rome"}]) is None


def test_a_mark_on_what_neither_state_nor_results_hold_cannot_be_filled():
    text, spans = mark("How about [Saturday]?", "day")
    template = delexicalise(text, {"day": "friday"}, spans=spans)
    assert template.text == "How about {day}?"
    assert template.placeholders[0].origin == "own"
    assert fill(template, {"day": "sunday"}, [{"day": "sunday"}]) is None


def test_a_mark_finds_its_value_despite_other_capitals():
    text, spans = mark("I found [mcDonalds].", "shop")
    template = delexicalise(text, {}, [{"shop": "McDonalds"}], spans)
    assert template.placeholders[0].origin == "results"
    assert fill(template, {}, [{"shop": "Subway"}]) == "I found Subway."


@pytest.mark.parametrize(
    ("said", "value", "found"),
    [
        ("1:00", "11:00", False),
        ("March 12", "March 1", False),
        ("200 pounds", "1,200 pounds", False),
        ("Leith Road 5", "leith road 5.5", False),
        ("11:00 sharp", "11:00", True),
        ("Main Street", "12 main street", True),
        ("March 12, 10 am", "March 12", True),
        ("the depot", "at the depot.", True),
    ],
)
def test_a_mark_is_no_part_of_another_number(said, value, found):
    text, spans = mark(f"How about [{said}]?", "it")
    (placeholder,) = delexicalise(text, {"it": value}, spans=spans).placeholders
    assert placeholder.origin == ("state" if found else "own")


def test_a_value_from_the_results_is_not_taken_from_the_state():
    template = delexicalise("We have Saturday.", {"day": "friday"}, [{"day": "saturday"}])
    assert fill(template, {"day": "friday"}, [{"day": "sunday"}]) == "We have Sunday."
    assert fill(template, {"day": "friday"}, []) is None
    assert fill(template, {"day": "friday"}, [{"time": "noon"}]) is None


def test_a_value_from_the_state_is_not_taken_from_the_results():
    template = delexicalise("Sorry, nothing on Friday.", {"day": "friday"}, [])
    assert fill(template, {}, [{"day": "sunday"}]) is None


def test_a_value_in_both_comes_from_fresh_results_first():
    both = ({"day": "friday"}, [{"day": "friday"}])
    fresh = delexicalise("Booked for Friday.", *both)
    assert fill(fresh, {"day": "monday"}, [{"day": "sunday"}]) == "Booked for Sunday."
    assert fill(fresh, {"day": "monday"}, []) == "Booked for Monday."
    stale = delexicalise("Shall I book Friday?", *both, fresh=False)
    assert fill(stale, {"day": "monday"}, [{"day": "sunday"}]) == "Shall I book Monday?"


def test_a_value_that_several_rows_share_belongs_to_the_row_next_to_it():
    rows = [{"shop": "Spar", "late": "9 pm"}, {"shop": "Co-op", "late": "9 pm"}]
    assert delexicalise("9 pm at Spar, 9 pm at Co-op", {}, rows).text == (
        "{late} at {shop}, {late_2} at {shop_2}"
    )
    text, spans = mark("It is [Co-op], until 9 pm", "shop")
    template = delexicalise(text, {}, rows, spans)
    assert template.text == "It is {shop_2}, until {late_2}"
    rows = [{"shop": "Spar", "late": "9 pm"}, {"shop": "Tesco", "late": "7 pm"}]
    assert fill(template, {}, rows) == "It is Tesco, until 7 pm"


SHARED = [{"shop": "Spar", "price": "£5"}, {"shop": "Co-op", "price": "£5"}]


def test_a_shared_value_beside_no_row_is_of_the_one_that_the_talk_is_about():
    text, spans = mark("It's [£5].", "price")
    for given in ((), spans):
        template = delexicalise(text, {}, SHARED, given, fresh=False, focus=1)
        assert template.text == "It's {price_2}."
        assert template.placeholders[0].shared == (0,)
        for focus in (0, None):
            first = delexicalise(text, {}, SHARED, given, fresh=False, focus=focus)
            assert first.text == "It's {price}."
    # a row that is named comes before the one that the talk is about
    named = delexicalise("Spar is £5.", {}, SHARED, fresh=False, focus=1)
    assert named.text == "{shop} is {price}."


def test_a_marked_value_that_rows_share_belongs_to_the_row_next_to_it():
    rows = [
        {"shop": "Spar", "early": "7:30", "late": "9 pm"},
        {"shop": "Co-op", "early": "8:30", "late": "9 pm"},
    ]
    for said, slots, found in (
        ("[Co-op] is open until [9 pm]", ("shop", "late"), "{shop_2} is open until {late_2}"),
        ("Until [9 pm], [Co-op]", ("late", "shop"), "Until {late_2}, {shop_2}"),
        (
            "[9 pm] at [Spar], [9 pm] at [Co-op]",
            ("late", "shop") * 2,
            "{late} at {shop}, {late_2} at {shop_2}",
        ),
        (
            "[Co-op] until [9 pm], [Spar] until [9 pm]",
            ("shop", "late") * 2,
            "{shop_2} until {late_2}, {shop} until {late}",
        ),
        # of several rows in one clause, none is nearer than another
        (
            "[Spar] till [9 pm] and [Co-op] till [9 pm]",
            ("shop", "late") * 2,
            "{shop} till {late} and {shop_2} till {late_2}",
        ),
        (
            "[Spar] or [Co-op], both until [9 pm]",
            ("shop", "shop", "late"),
            "{shop} or {shop_2}, both until {late}",
        ),
        (
            "From [7:30] or [8:30] until [9 pm]",
            ("early", "early", "late"),
            "From {early} or {early_2} until {late}",
        ),
    ):
        text, spans = mark(said, *slots)
        for about in ({}, {"fresh": False}, {"fresh": False, "focus": 0}):
            assert delexicalise(text, {}, rows, spans, **about).text == found


def test_a_marked_value_is_of_the_next_row_once_one_has_been_named():
    text, spans = mark("At [£5] or [£5]?", "price", "price")
    assert delexicalise(text, {}, SHARED, spans).text == "At {price} or {price_2}?"


@pytest.mark.parametrize(
    "text",
    [
        "Booked. We hold the table for 2 hours.",
        "Booked. We hold the table for two hours.",
        "You'll hear from us in 2 working days.",
        "You'll hear from us in 2-3 days.",
        "You'll hear from us in 2 to three business days.",
        "That's 2% off.",
        "That's 2 % off, or 2 percent.",
        "There are 2 hours left.",  # nor is it how many were found
    ],
)
def test_a_length_of_time_or_a_percentage_is_no_number_of_people(text):
    rows = [{"shop": "A"}, {"shop": "B"}]
    for fresh in (False, True):
        assert delexicalise(text, {"party_size": "2"}, rows, fresh=fresh).text == text


@pytest.mark.parametrize(
    ("text", "slot", "hint"),
    [
        ("That's 2 nights.", "nights", ""),
        ("It takes 2 hours.", "duration", ""),
        ("It takes two hours.", "flight_duration", ""),
        ("It takes 2 hours.", "n", "How long it takes"),
        ("It takes 2 hours.", "n", "Hours that it takes"),
        ("For 2 days, then.", "number_of_days", ""),
        ("It takes 2 working days.", "transfer_time", "Number of days that it takes"),
        ("It is 2 years old.", "age", ""),
        ("There's 2% off.", "discount", ""),
        ("It'll be at 2 percent.", "humidity", "Percentage humidity"),
        ("The layover is 2 hours.", "layover", ""),  # its name is near
    ],
)
def test_a_slot_that_holds_such_a_number_is_found(text, slot, hint):
    template = delexicalise(text, {slot: "2"}, hints={slot: hint})
    assert template.text == text.replace("two", "2").replace("2", f"{{{slot}}}")
    assert fill(template, {slot: "2"}) == text


def test_a_mark_on_such_a_number_is_believed():
    text, spans = mark("It lasts [2] hours.", "size")
    assert delexicalise(text, {"size": "2"}, spans=spans).text == "It lasts {size} hours."


def test_a_marked_value_of_the_state_names_no_row():
    said = "[Monday] is full. [Friday] in the [morning] or [Friday] in the [afternoon]?"
    text, spans = mark(said, "day", "day", "part", "day", "part")
    rows = [{"day": "friday", "part": "morning"}, {"day": "friday", "part": "afternoon"}]
    template = delexicalise(text, {"day": "monday"}, rows, spans)
    later = [{"day": "sunday", "part": "evening"}, {"day": "tuesday", "part": "morning"}]
    assert fill(template, {"day": "monday"}, rows) == text
    assert fill(template, {"day": "saturday"}, later) == (
        "Saturday is full. Sunday in the evening or Tuesday in the morning?"
    )


def test_what_rows_shared_is_not_said_of_rows_that_no_longer_share_it():
    def rows(*days):
        people = [("Dr Osei", "9:20"), ("Dr Lindgren", "11:40"), ("Dr Abe", "14:00")]
        return [
            {"doctor": doctor, "time": time, "day": day}
            for (doctor, time), day in zip(people, days)
        ]

    said = "On Friday I have 9:20 am with Dr Osei and 11:40 am with Dr Lindgren."
    once = delexicalise(said, {"day": "friday"}, rows("friday", "friday"))
    assert once.text == "On {day} I have {time} with {doctor} and {time_2} with {doctor_2}."
    assert fill(once, {}, rows("Monday", "monday")) == said.replace("Friday", "Monday")
    assert fill(once, {}, rows("monday", "sunday")) is None
    assert fill(once, {"day": "monday"}, rows("monday", None)) is None
    # nothing is said of the second row, or its day is said
    one = delexicalise("On Friday I have Dr Osei.", {}, rows("friday", "friday"))
    assert fill(one, {}, rows("monday", "sunday")) == "On Monday I have Dr Osei."
    each = delexicalise("Dr Osei on Friday, Dr Lindgren on Friday.", {}, rows("friday", "friday"))
    assert fill(each, {}, rows("monday", "sunday")) == "Dr Osei on Monday, Dr Lindgren on Sunday."
    # rows are counted from the one that is spoken of
    later = rows("sunday", "friday", "friday")
    assert fill(once, {}, later) is None
    assert fill(once, {}, later, first_row=1) == (
        "On Friday I have 11:40 am with Dr Lindgren and 2 pm with Dr Abe."
    )


def test_rows_can_be_shifted():
    rows = [{"shop": "Links News"}, {"shop": "Whitehouse"}]
    template = delexicalise("There is Links News.", {}, rows)
    assert fill(template, {}, rows, first_row=1) == "There is Whitehouse."
    assert fill(template, {}, rows, first_row=2) is None


def test_any_will_do_and_blank_values_are_never_stated():
    template = delexicalise("On Friday?", {"day": "friday"})
    assert fill(template, {"day": DONTCARE}) is None
    assert fill(template, {"day": (DONTCARE,)}) is None
    assert fill(template, {"day": " "}) is None
    assert fill(template, {"day": ()}) is None


def test_a_count_of_one_or_none_does_not_fit_words_for_several():
    template = delexicalise("I found 2 shops.", {}, [{"shop": "A"}, {"shop": "B"}])
    assert fill(template, {}, [{}] * 5) == "I found 5 shops."
    assert fill(template, {}, [{}]) is None
    assert fill(template, {}, []) is None


def test_braces_in_values_and_texts_stay_as_they_are():
    template = delexicalise("Use {code} for RX1.", {"id": "RX1"})
    assert fill(template, {"id": "{id} {0} {password}", "password": "hunter2"}) == (
        "Use {code} for {id} {0} {password}."
    )


def test_results_may_hold_numbers():
    template = delexicalise("It costs $45.", {}, [{"price": 45}])
    assert fill(template, {}, [{"price": 9.5}]) == "It costs $9.50."
    assert fill(template, {}, [{"price": None}]) is None


def test_marks_that_overlap_or_lie_outside_are_left_out():
    spans = (Span("day", 3, 9), Span("other", 4, 6), Span("gone", 50, 60))
    template = delexicalise("On friday", {"day": "friday"}, spans=spans)
    assert template == Template(("On ", Placeholder("day", "verbatim", "state")), ("friday",))


def test_a_text_of_nothing_but_values_takes_no_time():
    rows = [{"floor": "3"}, {"floor": "4"}]
    assert delexicalise("3 " * 3, {}, rows).text == "{floor} " * 3  # warm
    begun = time.process_time()
    marks = [Span("floor", 2 * number, 2 * number + 1) for number in range(1000)]
    for spans in ((), marks):
        found = delexicalise("3 " * 1000, {}, rows, spans)
        assert found.original == "3 " * 1000 and 200 <= len(found.placeholders) <= 400
    assert time.process_time() - begun < 3
