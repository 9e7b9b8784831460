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
        # the day or the month first
        ("2024-06-28", "28/6"),
        ("2024-06-28", "6/28"),
        ("2024-06-28", "28.06."),
        ("2024-06-28", "28/06/2024"),
        ("28/06/2024", "June 28th"),
        ("28/06/2024", "friday"),
        ("1954-09-21", "21/9/54"),
        ("2009-07-12", "12.7.2009"),
        ("2024-09-02", "02/09"),
        ("2024-06-26", "weds"),
        ("2024-06-28", "friday morning"),
        ("friday", "friday morning"),
        ("2024-06-28", "the day after tomorrow"),
        ("2024-06-01", "the first of june"),
        ("2024-06-21", "the twenty-first"),
        ("15:30", "3.30pm"),
        ("3.30 pm", "3.30pm"),
        ("15:30", "at 3.30"),
        ("09:20", "morning"),
        ("09:20", "friday morning"),
        ("05:00", "five in the morning"),
        # who can tell
        ("2024-06-28", "the end of the month"),
        ("2024-06-28", "friday after work"),
        ("2024-06-28", "any day but monday"),
        ("15:30", "3-4"),
        ("15:30", "around 3"),
        ("15:30", "some time after lunch"),
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
        ("2024-06-28", "27/6"),
        ("2024-06-28", "28/7"),
        ("2024-06-28", "28/06/2025"),
        ("2024-06-28", "weds"),
        ("2024-06-28", "monday morning"),
        ("2024-06-28", "the first of june"),
        ("friday evening", "friday morning"),
        ("the 28th", "friday morning"),
        ("tomorrow", "the day after tomorrow"),
        ("15:30", "4.30pm"),
        ("15:30", "at 5pm"),
        ("15:30", "morning"),
        ("13:00", "noon"),
        ("06:45", "five in the morning"),
        ("19:00", "7 in the morning"),
        ("15:30", "friday"),
        ("2024-06-28", "3pm"),
        ("2024-06-28", "RX4821"),
        # no days or times
        ("4.5", "5.4"),
        ("4.5", "4.05"),
        ("4.5", "at least 4"),
        ("14.50", "2.50"),
        ("14.00", "2"),
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
