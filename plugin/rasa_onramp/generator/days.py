"""What a text says of a day: "the 28th", "weds morning", "28/6", "the day after tomorrow"."""

from __future__ import annotations

import re
from typing import Dict, Match, Optional, Tuple

from rasa_onramp.generator.quantities import ORDINAL_WORDS
from rasa_onramp.generator.times import MONTHS, date_of, date_writer, weekday

__all__ = ["PARTS", "days_of", "same_day", "speaks_of_days"]

#: The hours of the parts of a day.
PARTS = {
    "morning": range(12),
    "noon": range(11, 15),
    "midday": range(11, 15),
    "lunchtime": range(11, 15),
    "afternoon": range(12, 19),
    "evening": range(16, 24),
    "night": (*range(17, 24), *range(5)),
}

#: What says of a day where it is as seen from another; as it is compared.
_RELATIVE = {
    word: word for word in ("today", "tomorrow", "overmorrow", "next", "this", "week", "weekend")
}
_RELATIVE.update({"tmrw": "tomorrow", "tmr": "tomorrow", "tomorow": "tomorrow", "tonight": "today"})
_EMPTY = frozenset(("the", "of", "on", "in", "coming"))

_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")
_ORDINALS = [
    *ORDINAL_WORDS,
    *("thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth"),
    *("nineteenth", "twentieth", *(f"twenty-{word}" for word in ORDINAL_WORDS[1:10])),
    *("thirtieth", "thirty-first"),
]
_READ_AS = {word: f"{day}th" for day, word in enumerate(_ORDINALS)}

_NUMERIC = re.compile(
    r"(?<![\d/.-])(\d{1,2})(?P<mark>[/.-])(\d{1,2})(?:(?P=mark)(?P<y>\d{4}|\d\d))?\.?(?![\d/-])"
)
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d\d)[/.](\d\d)")

_weekday_of = date_writer("{w}")


def days_of(text: str) -> Tuple[Dict[str, str], Dict[str, str]]:
    """What a text says of a day, by the parts of a date: with the day first in "6/7", and with the
    month first. Nothing if it speaks of anything else.
    """
    return _read(_spelt(text, month_first=False)), _read(_spelt(text, month_first=True))


def same_day(one: Dict[str, str], other: Dict[str, str]) -> bool:
    """Whether two readings may be of the same day. They are compared as far as both say which."""
    if any(one[each] != other[each] for each in one.keys() & other.keys()):
        return False
    mine, its = one.keys() - {"part"}, other.keys() - {"part"}
    if not (mine and its):
        return bool(one) and one == other
    # else an API would have said it as the user did
    return bool(mine & its) or "month" in mine | its


def speaks_of_days(word: str) -> bool:
    """Whether a word says something of a day, be it no more than that one is meant."""
    word = word.lower()
    if word in _RELATIVE or word in PARTS or word in _READ_AS or _ORDINAL.fullmatch(word):
        return True
    month = len(word) >= 3 and any(name.lower().startswith(word) for name in MONTHS)
    return month or _weekday(word) is not None or word in ("day", "days", "weeks", "month")


def _spelt(text: str, *, month_first: bool) -> str:
    """The text with numeric dates spelt out. A year of two digits is left out."""

    def spell(match: Match[str]) -> str:
        day, month = int(match.group(1)), int(match.group(3))
        if month_first:
            day, month = month, day
        year = match["y"] or ""
        if not 1 <= month <= 12 or (match["mark"] == "-" and not year):  # "3-4" are from 3 to 4
            return match.group()
        return f"{day} {MONTHS[month - 1]} {year if len(year) == 4 else ''}".strip()

    return _NUMERIC.sub(spell, _YEAR_FIRST.sub(r"\1-\2-\3", text))


def _weekday(word: str) -> Optional[str]:
    return weekday(word.rstrip("s."), False)  # "weds", "fridays"


def _read(text: str) -> Dict[str, str]:
    text = text.lower().replace(",", " ").replace("day after tomorrow", "overmorrow")
    words = [_READ_AS.get(word, word) for word in text.split() if word not in _EMPTY]
    parts = [word for word in words if word in PARTS]
    found = {"part": parts[-1]} if parts else {}
    words = [word for word in words if word not in PARTS]
    for place, word in enumerate(words):
        rest = " ".join(words[place:])
        date, ordinal, name = date_of(rest), _ORDINAL.fullmatch(word), _weekday(word)
        if date is not None:
            found.update(day=str(date.day), month=str(date.month))
            if date.year is not None:
                found.update(year=str(date.year))
                found.setdefault("weekday", _weekday_of(rest, False) or "")
            return found
        if ordinal is not None:
            found["day"] = ordinal.group(1)
        elif name is not None:
            found["weekday"] = name
        elif word in _RELATIVE:
            found["relative"] = f"{found.get('relative', '')} {_RELATIVE[word]}"
        else:
            return {}
    return found
