"""Which of several things that were told a user points at: "the first one", "the latter"."""

from __future__ import annotations

import re
from typing import Optional, Sequence

from rasa_onramp.generator.quantities import ORDINAL_WORDS
from rasa_onramp.generator.times import DAY_WORDS, MONTHS

__all__ = ["pointed_at", "rules_out"]

_FIRST = ORDINAL_WORDS[1:]
_PLACES = rf"{'|'.join(_FIRST)}|(?P<digits>\d{{1,2}})(?:st|nd|rd|th)|former|latter"
#: What goes on after something that was pointed at.
_AFTER = (
    r"(?=\s*(?:[,.;:?!]|$)|\s+(?:is|was|has|does|sounds|looks|seems|works|would|will|by|with|instead"
    r"|then|please|pls)\b)"
)
#: With "the", or where a phrase begins: not "my first choice".
_ONE = re.compile(
    r"(?:\bthe\s+|(?:^|[,.;:?!]|\b(?:ok|okay|yes|yeah|and|or|take|is|about|than|not))\s*\b)"
    rf"(?P<place>{_PLACES}|last)\s+(?:one|option|choice|offer|suggestion|result)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    rf"\b(?:option|choice)\s+(?P<place>(?P<digits>[1-9]\d?))\b{_AFTER}", re.IGNORECASE
)
_THE = re.compile(rf"\bthe\s+(?P<place>{_PLACES}|last)\b", re.IGNORECASE)
#: Not "the first floor", "the first of May", "the first name".
_ALONE = re.compile(rf"\bthe\s+(?P<place>{_PLACES})\b{_AFTER}", re.IGNORECASE)
_ANOTHER = re.compile(
    r"\b(?:(?:not|than|except|besides|without|instead of|before|after|since|until|till)"
    r"|(?:any|every|no)(?:thing|one|body)? but|all but"
    r"|(?:\w+n['\u2019]?t|(?<!why )not)(?: really| so| too)?"
    r" (?:like|want|need|fancy|love|take|care for|keen on|interested in))\s+$",
    re.IGNORECASE,
)
#: So many characters before something say whether it is ruled out.
_BEFORE = 60
_ARTICLE = re.compile(r"\bthe\s+$", re.IGNORECASE)
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
    if len(told) < 2:
        return None
    surely = [*_ONE.finditer(text), *_NUMBERED.finditer(text)]
    if len({_place(match) for match in (*surely, *_THE.finditer(text))}) != 1:
        return None
    for match in (*surely, *_ALONE.finditer(text)):
        before, place = _before(text, match.start("place")), _place(match)
        if rules_out(before) or not -len(told) <= place < len(told):
            continue
        if match.re is not _ALONE or not _may_be_a_day(before, match, said):
            return told[place]
    return None


def rules_out(before: str) -> bool:
    """Whether what stands before something says that another is meant: "not the first one", "until
    noon".
    """
    return _ANOTHER.search(before[-_BEFORE:]) is not None


def _before(text: str, place: int) -> str:
    """What stands before a place that is pointed at, without its article."""
    return _ARTICLE.sub("", text[max(0, place - _BEFORE) : place])


def _may_be_a_day(before: str, match: re.Match[str], said: str) -> bool:
    if _DATED.search(before) or _DATES.search(said):
        return True
    return match["digits"] is not None and bool(_MAY_BE_DATED.search(before) or _DAYS.search(said))


def _place(match: re.Match[str]) -> int:
    if match["digits"] is not None:
        return int(match["digits"]) - 1
    word = match["place"].lower()
    return 0 if word == "former" else _FIRST.index(word) if word in _FIRST else -1
