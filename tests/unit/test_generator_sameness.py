"""Whether an API's value may be what a user wanted."""

from __future__ import annotations

import pytest

from rasa_onramp.generator.sameness import agrees, may_be_same


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("FRIDAY", "friday"),
        ("2024-06-07", "June 7th"),
        ("2024-06-07", "friday"),
        ("2024-06-07", "the 7th"),
        ("2024-06-07", "Friday the 7th of June"),
        ("2024-06-07", "next fri"),
        ("2024-06-07", "tomorrow"),  # who knows
        ("7 June", "friday"),
        ("tomorrow", "tmrw"),
        ("Saturday", "this Saturday"),
        ("19:00", "7pm"),
        ("19:00", "7"),
        ("19:30", "half seven"),
        ("19:45", "quarter to eight"),
        ("07:00", "7:00"),
        ("£5", "5 pounds"),
    ],
)
def test_may_be_the_same(told: str, wanted: str) -> None:
    assert may_be_same(told, wanted)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("2024-06-07", "monday"),
        ("2024-06-07", "the 8th"),
        ("2024-06-07", "friday the 14th"),
        ("2024-06-07", "next monday"),
        ("2024-06-07", "2025-06-07"),
        ("7 June", "7 July"),
        # an API that speaks in words says again what it agrees to
        ("the 28th", "friday"),
        ("the 28th", "tomorrow"),
        ("today", "tomorrow"),
        ("19:00", "8pm"),
        ("07:00", "7pm"),
        ("19:30", "7"),
        ("Spar", "Co-op"),
        ("2024-06-07", "Friday Bridge"),
        ("2024-06-07", "tomorrow " * 1000),
        ("", "the"),
    ],
)
def test_is_another(told: str, wanted: str) -> None:
    assert not may_be_same(told, wanted)


def test_a_row_agrees_with_what_is_wanted_of_it() -> None:
    row = {"day": "2024-06-07", "shop": "Spar"}
    assert agrees(row, {"day": ("friday",), "area": ("leith",)})
    assert agrees(row, {"shop": ("dontcare",)})
    assert agrees(row, {"shop": ("Co-op", "spar")})  # either will do
    assert not agrees(row, {"day": ("friday",), "shop": ("Co-op",)})
