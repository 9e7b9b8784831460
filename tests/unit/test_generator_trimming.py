"""Templates without the parts that there is no value for."""

from __future__ import annotations

import pytest

from rasa_onramp.generator import delexicalise
from rasa_onramp.generator.trimming import without

VALUES = {"device": "laptop", "place": "Leeds", "urgency": "high", "name": "Ann"}


@pytest.mark.parametrize(
    ("text", "unknown", "trimmed"),
    [
        ("OK: laptop, Leeds, urgency high. Go?", ["place"], "OK: {device}, urgency {urgency}. Go?"),
        ("OK: laptop, Leeds, urgency high. Go?", ["device"], "OK: {place}, urgency {urgency}. Go?"),
        ("OK: laptop, Leeds, urgency high. Go?", ["urgency"], "OK: {device}, {place}. Go?"),
        ("OK: laptop, Leeds, urgency high. Go?", ["place", "urgency"], "OK: {device}. Go?"),
        ("👍 OK: laptop, Leeds, urgency high！", ["place"], "👍 OK: {device}, urgency {urgency}！"),
        ("A laptop, and it is for Ann", ["name"], "A {device}"),
        ("A laptop, in Leeds for Ann.", ["place"], None),  # would take Ann along
        ("A laptop, in Leeds for Ann.", ["place", "name"], "A {device}."),
        ("It is in Leeds.", ["place"], None),  # the whole sentence
        ("Leeds, right?", ["place"], None),
        ("Ann has a laptop. It is in Leeds, with high urgency", ["place"], None),
    ],
)
def test_a_part_between_commas_can_go(text, unknown, trimmed):
    template = delexicalise(text, VALUES)
    gone = [each for each in template.placeholders if each.slot in unknown]
    assert len(gone) == len(unknown)
    found = without(template, gone)
    assert (found.text if found else None) == trimmed


def test_what_stood_in_the_rest_stays_known():
    template = delexicalise("OK: laptop, Leeds, urgency high.", VALUES)
    trimmed = without(template, template.placeholders[1:2])
    assert trimmed is not None
    assert trimmed.surfaces == ("laptop", "high")


def test_private_use_characters_of_the_text_are_not_taken_for_placeholders():
    template = delexicalise("\ue000, laptop, Leeds.", VALUES)
    assert without(template, template.placeholders[:1]) is None
