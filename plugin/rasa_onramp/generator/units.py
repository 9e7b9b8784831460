"""Numbers that count or measure something else than people and things: "2 hours", "2%"."""

from __future__ import annotations

import re
from typing import List, Mapping, Optional, Tuple

from rasa_onramp.generator.quantities import NUMBER_WORDS
from rasa_onramp.generator.spotting import Region

__all__ = ["TIMES", "holds", "is_measure", "measures", "unit_of"]

_WORDS = "|".join(
    [
        *NUMBER_WORDS[::-1],  # "sixteen" before "six"
        *("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"),
        *("thousand", "million"),
    ]
)
_NUMBER = rf"(?:\d[\d,.]*(?<=\d)|(?:{_WORDS})(?:[ -](?:{_WORDS}))*(?![a-z]))"
#: Lengths of time, in the singular.
TIMES = ("minute", "hour", "day", "week", "month", "year")
_UNIT = (
    r"(?:\s*%|\s+per\s?cent(?![a-z])"
    rf"|[\s-]+(?:(?:working|business|calendar)\s+)?(?:{'|'.join(TIMES)})s?(?![a-z]))"
)
#: "One minute, please" isn't said of a minute.
_MEASURE = re.compile(rf"(?<![\w.,:])(?!one\s+minute(?![a-z])){_NUMBER}{_UNIT}", re.IGNORECASE)
_IS_NUMBER = re.compile(_NUMBER, re.IGNORECASE)
_AFTER = re.compile(_UNIT, re.IGNORECASE)
#: "2 to 3 days", "2-3 days".
_RANGE_AFTER = re.compile(rf"\s*(?:-|\u2013|\bto\b|\bor\b)\s*{_NUMBER}({_UNIT})", re.IGNORECASE)

#: What names and descriptions of slots say whose numbers are lengths of time, or percentages.
_LASTS = r"\b(?:age|delay|duration|how long|length|period|term|waiting)\b"
_SHARE = r"\bper\s?cent|%|\b(?:chance|discount|humidity|interest|probability|rate|share)s?\b"


def measures(text: str) -> List[Region]:
    """Where numbers with such a unit stand in a text."""
    return [match.span() for match in _MEASURE.finditer(text)]


def is_measure(text: str) -> bool:
    """Whether a text is a number with such a unit, and nothing else."""
    return _MEASURE.fullmatch(text) is not None


def unit_of(text: str, region: Region) -> Optional[Tuple[str, int]]:
    """The unit of the number at `region` and where the two end; None if it has no such unit, or
    none is there. In "2 to 3 days" the 2 ends where it does.
    """
    if not _IS_NUMBER.fullmatch(text, *region):
        return None
    match = _AFTER.match(text, region[1])
    if match:
        return _name(match.group()), match.end()
    match = _RANGE_AFTER.match(text, region[1])
    return (_name(match.group(1)), region[1]) if match else None


def holds(slot: str, hints: Mapping[str, str], unit: str) -> bool:
    """Whether a slot's numbers may be of this unit, by its name or its description in `hints`."""
    words = f"{slot} {hints.get(slot, '')}".replace("_", " ").lower()
    if unit == "percent":
        return re.search(_SHARE, words) is not None
    return re.search(rf"\b{unit}s?\b|{_LASTS}", words) is not None


def _name(unit: str) -> str:
    return next((each for each in TIMES if each in unit.lower()), "percent")
