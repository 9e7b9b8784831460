"""Every form in which a value may stand, and the values that a form leaves alone."""

from __future__ import annotations

import pytest

from rasa_onramp.generator.forms import form_of, render, surfaces


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("friday", "Friday"),
        ("friday", "FRIDAY"),
        ("at the depot", "At the depot"),
        ("san jose", "San Jose"),
        ("In transit", "in transit"),
        ("rx4821", "RX4821"),
        ("burger", "burgers"),
        ("delivery", "deliveries"),
        ("box", "Boxes"),
        ("boxes", "box"),
        ("in_transit", "in transit"),
        ("OUT_FOR_DELIVERY", "OUT FOR DELIVERY"),
        ("the 9th", "9th"),
        ("9th", "the 9th"),
        ("2nd", "second"),
        ("17:00", "5 pm"),
        ("17:00", "5 PM"),
        ("17:00", "5pm"),
        ("17:00", "5:00 p.m."),
        ("5 pm", "17:00"),
        ("5:30 pm", "17:30"),
        ("09:30", "9:30 am"),
        ("9 am", "09:00"),
        ("12 pm", "noon"),
        ("17:30", "half past 5"),
        ("2019-03-08", "March 8th"),
        ("2019-03-08", "the 8th of March"),
        ("2019-03-08", "Friday, March 8"),
        ("March 8th", "8 March"),
        ("8 Mar 2019", "2019-03-08"),
        ("fri", "Friday"),
        ("45", "$45"),
        ("45", "45 dollars"),
        ("$45", "45 dollars"),
        ("45 dollars", "$45.00"),
        ("12.5", "£12.50"),
        ("£1200", "£1,200"),
        ("1200", "1,200"),
        ("2", "two"),
        ("Two", "2"),
    ],
)
def test_a_value_is_found_and_written_in_another_form(value, text):
    form = form_of(text, value)
    assert form is not None
    assert render(value, form) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("friday", "saturday"),
        ("5 pm", "5 am"),
        ("17:00", "17:30"),
        ("5:30", "5:30 pm"),  # nobody said whether morning or afternoon
        ("March 8", "2019-03-08"),  # nobody said the year
        ("$45", "£45"),
        ("$45", "45 pounds"),
        ("45", "$46"),
        ("2019-02-31", "February 31st"),
        ("25:00", "1 am"),
        ("bus", "bu"),
        ("class", "clas"),
    ],
)
def test_another_value_is_not_a_form_of_it(value, text):
    assert form_of(text, value) is None


def test_a_bare_time_is_on_the_24_hour_clock_where_an_api_says_it():
    assert form_of("11:30 am", "11:30") is None
    assert form_of("11:30 am", "11:30", clock24=True) == "time.5 pm"


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("time.5 pm", "half past noon", "half past noon"),
        ("time.5 pm", "5:30", "5:30"),
        ("time.17:00", "5:30", "5:30"),
        ("time.5 pm", "10:15 pm", "10:15 pm"),
        ("time.5:00 pm", "10 pm", "10:00 pm"),
        ("money.$45", "£12.5", "£12.50"),
        ("money.45 dollars", "1", "1 dollar"),
        ("money.45 dollars", "free", "free"),
        ("date.Friday, March 8", "tomorrow", "tomorrow"),
        ("date.Friday", "next week", "next week"),
        ("plural", "RX4821", "RX4821"),
        ("verbatim|title", "McDonald's", "McDonald's"),
        ("verbatim|lower", "RX4821", "RX4821"),
        ("verbatim|lower", "Out for delivery", "out for delivery"),
        ("verbatim|capitalised", "iPhone 12", "iPhone 12"),
        ("a form of a later version", "friday", "friday"),
    ],
)
def test_a_form_leaves_alone_what_it_does_not_fit(form, value, text):
    assert render(value, form) == text


def test_every_surface_of_a_value_is_written_by_its_form():
    for value in ("17:00", "2019-03-08", "$45", "1200", "2nd", "the 9th", "friday", "box", "2"):
        found = surfaces(value)
        assert found[0] == (value, "verbatim")
        assert len({text for text, _ in found}) == len(found)
        for text, form in found:
            assert render(value, form) == text


@pytest.mark.parametrize(
    ("value", "singular"),
    [
        ("Action movies", "Action movie"),
        ("pies", "pie"),
        ("cities", "city"),
        ("headaches", "headache"),
        ("beaches", "beach"),
        ("boxes", "box"),
        ("tickets", "ticket"),
        ("Paris", "Paris"),
        ("bus", "bus"),
        ("glass", "glass"),
    ],
)
def test_the_singular_is_spelt_as_it_should(value, singular):
    assert render(value, "singular") == singular


@pytest.mark.parametrize("value", ["9" * 5000, "$" + "9" * 5000, "9" * 5000 + "th", "a" * 201])
def test_a_very_long_value_stands_as_it_is(value):
    assert surfaces(value) == ((value, "verbatim"),)
    assert render(value, "number.1,200") == value


@pytest.mark.parametrize("value", ["...", "fr...", "mo."])
def test_dots_make_no_weekday(value):
    assert "date.Friday" not in dict(surfaces(value)).values()


@pytest.mark.parametrize("value", ["john_doe@mail.com", "RX_48", "a_b_1", "_", "https://x.y/z_z"])
def test_an_underscore_that_joins_no_words_stays(value):
    assert render(value, "told") == render(value, "spaced") == value
    assert value.replace("_", " ") not in dict(surfaces(value))
