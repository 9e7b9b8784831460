"""Which of several things that were told a user points at: "the first one", "the latter"."""

from __future__ import annotations

import re
from typing import Optional, Sequence

from rasa_onramp.generator.quantities import ORDINAL_WORDS
from rasa_onramp.generator.times import DAY_WORDS, MONTHS

__all__ = ["pointed_at", "rules_out"]

_FIRST = ORDINAL_WORDS[1:]
_PLACES = rf"{'|'.join(_FIRST)}|(?P<digits>\d{{1,2}})(?:st|nd|rd|th)|former|latter"
_PLACE = rf"\bthe\s+(?P<place>{_PLACES})\b"
_PLACE_OR_LAST = rf"\bthe\s+(?P<place>{_PLACES}|last)\b"
_ANY = re.compile(_PLACE_OR_LAST, re.IGNORECASE)
_ONE = re.compile(
    rf"{_PLACE_OR_LAST}\s+(?:one|option|choice|offer|suggestion|result)\b", re.IGNORECASE
)
#: Not "the first floor", "the first of May", "the first name".
_ALONE = re.compile(
    rf"{_PLACE}(?=\s*(?:[,.;:?!]|$)|\s+(?:is|was|has|does|sounds|looks|seems|works|would|will|by|with"
    r"|instead|then|please)\b)",
    re.IGNORECASE,
)
_ANOTHER = re.compile(
    r"\b(?:not|than|except|besides|without|instead of|before|after|since|until|till)\s+$",
    re.IGNORECASE,
)
#: "On the second" is a day; so may "for the 2nd" be.
_DATED = re.compile(
    r"\b(?:on|in|by|to|from|until|till|before|after|since|between|through)\s+$", re.IGNORECASE
)
_MAY_BE_DATED = re.compile(r"\b(?:for|of|at)\s+$", re.IGNORECASE)

_MONTH = "|".join(month[:3] for month in MONTHS)
_DATES = re.compile(
    rf"\d(?:st|nd|rd|th)\b|\d{{4}}-\d\d-\d\d|\b(?:{_MONTH})[a-z]*\.?\s+\d|\d\s+(?:{_MONTH})",
    re.IGNORECASE,
)
_DAYS = re.compile(rf"\b(?:{'|'.join(DAY_WORDS)})\b", re.IGNORECASE)


def pointed_at(text: str, told: Sequence[int], said: str) -> Optional[int]:
    """The row that `text` points at, of those that `said` told in this order.

    None if it points at none of them, or at more than one. Without "one" or the like, what may be a
    day of the month points at none where `said` speaks of days.
    """
    if len(told) < 2 or len({each["place"].lower() for each in _ANY.finditer(text)}) != 1:
        return None
    for match in (*_ONE.finditer(text), *_ALONE.finditer(text)):
        before, place = text[: match.start()], _place(match)
        if rules_out(before) or not -len(told) <= place < len(told):
            continue
        if match.re is _ONE or not _may_be_a_day(before, match, said):
            return told[place]
    return None


def rules_out(before: str) -> bool:
    """Whether what stands before something says that another is meant: "not the first one", "until
    noon".
    """
    return _ANOTHER.search(before) is not None


def _may_be_a_day(before: str, match: re.Match[str], said: str) -> bool:
    if _DATED.search(before) or _DATES.search(said):
        return True
    return match["digits"] is not None and bool(_MAY_BE_DATED.search(before) or _DAYS.search(said))


def _place(match: re.Match[str]) -> int:
    if match["digits"] is not None:
        return int(match["digits"]) - 1
    word = match["place"].lower()
    return 0 if word == "former" else _FIRST.index(word) if word in _FIRST else -1
