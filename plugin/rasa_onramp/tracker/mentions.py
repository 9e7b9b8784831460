"""Which of a slot's listed values stand in a text word for word."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Optional, Pattern, Tuple

from rasa_onramp.dialogue import Slot
from rasa_onramp.tracker.tokens import words_of

__all__ = ["MOST_VALUES", "mentioned"]

#: How many listed values of a slot are looked for: one a bit of a signed 64-bit integer.
MOST_VALUES = 62

#: Values that tell nothing about the slot that they are said for.
_OF_NO_SLOT = ("true", "false", "yes", "no")


def mentioned(slot: Slot, text: str) -> int:
    """The values of `slot` in `text`, whatever their case: bit n for the n-th one, from 1.

    Values that differ only in case are one, as at the marks in the prompt (schema_prompt.py).
    In "extra large" there is no "large": of values that overlap, the longest counts. True, false,
    yes and no are never there: several slots take them, and "no, at 5 pm" speaks of none.
    """
    if not slot.values or not text:
        return 0
    pattern, numbers = _pattern(slot.values)
    if pattern is None:
        return 0
    found = 0
    for match in pattern.finditer(text.lower()):
        found |= 1 << numbers[" ".join(match.group().split())]
    return found


@lru_cache(maxsize=4096)
def _pattern(values: Tuple[str, ...]) -> Tuple[Optional[Pattern[str]], dict]:
    numbers: dict = {}
    places: dict = {}
    for value in values:
        number = places.setdefault(value.lower(), len(places) + 1)
        if number > MOST_VALUES:
            break
        for spelling in (" ".join(value.lower().split()), words_of(value)):
            if spelling and spelling not in _OF_NO_SLOT:
                numbers.setdefault(spelling, number)
    if not numbers:
        return None, numbers
    longest = sorted(numbers, key=len, reverse=True)
    texts = "|".join(re.escape(text).replace(r"\ ", r"\s+") for text in longest)
    return re.compile(rf"(?<!\w)(?:{texts})(?!\w)"), numbers
