"""Whether an API's value may be the one that a user wanted, however either spells it."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional, Sequence

from rasa_onramp.generator.forms import form_of
from rasa_onramp.generator.quantities import NUMBER_WORDS, ORDINAL_WORDS
from rasa_onramp.generator.spotting import plain_values
from rasa_onramp.generator.times import Time, date_of, date_writer, time_of, weekday

__all__ = ["agrees", "may_be_same"]

#: Characters of a time or day that is read.
_LONGEST = 40

_SPOKEN_TIME = re.compile(
    r"(?:at )?(?:(?P<quarter>half|half past|(?:a )?quarter past|(?:a )?quarter to) )?"
    rf"(?P<hour>{'|'.join(NUMBER_WORDS[1:13])}|\d{{1,2}})"
)
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")

_weekday_of = date_writer("{w}")

#: What says of a day where it is as seen from another; as it is compared.
_RELATIVE = {word: word for word in ("today", "tomorrow", "next", "this", "week", "weekend")}
_RELATIVE.update({"tmrw": "tomorrow", "tmr": "tomorrow", "tomorow": "tomorrow", "tonight": "today"})
_EMPTY = frozenset(("the", "of", "on", "coming"))


def may_be_same(told: str, wanted: str) -> bool:
    """Whether `told`, of an API's results, may be `wanted`, of a user's.

    It may where one is a form of the other. A time without a.m. or p.m. may be either. Days are
    compared as far as both say which: a Friday may be any date that is one; and of a date nobody
    can tell whether it is "tomorrow".
    """
    if told.casefold() == wanted.casefold():
        return True
    if form_of(told, wanted) or form_of(wanted, told, clock24=True):
        return True
    if max(len(told), len(wanted)) > _LONGEST:
        return False
    return _same_time(told, wanted) or _same_day(_day(told), _day(wanted))


def agrees(row: Mapping[str, str], values: Mapping[str, Sequence[str]]) -> bool:
    """Whether a result row may have all values of the state that it has any for."""
    for slot, told in row.items():
        wanted = plain_values(values.get(slot))
        if wanted and not any(may_be_same(told, each) for each in wanted):
            return False
    return True


def _same_time(told: str, wanted: str) -> bool:
    one, other = time_of(told, True), time_of(wanted, False) or _spoken(wanted)
    if one is None or other is None or one.minute != other.minute:
        return False
    return one.hour == other.hour or ((one.hour - other.hour) % 12 == 0 and not other.known)


def _spoken(text: str) -> Optional[Time]:
    """Reads "half seven", "quarter to ten", and "7" for a time."""
    match = _SPOKEN_TIME.fullmatch(text.strip().lower())
    if match is None:
        return None
    word = match["hour"]
    hour = int(word) if word.isdigit() else NUMBER_WORDS.index(word)
    quarter = match["quarter"] or ""
    if quarter.endswith("to"):
        return Time(hour - 1, 45, False)
    return Time(hour, 30 if "half" in quarter else 15 if quarter else 0, False)


def _same_day(one: Dict[str, str], other: Dict[str, str]) -> bool:
    shared = one.keys() & other.keys()
    if shared or not (one and other):
        return bool(shared) and all(one[part] == other[part] for part in shared)
    return "month" in one or "month" in other  # else an API would have said it as the user did


def _day(text: str) -> Dict[str, str]:
    """What a text says of a day, by the parts of a date; nothing if it speaks of anything else."""
    words = text.lower().replace(",", " ").split()
    found: Dict[str, str] = {}
    for place, word in enumerate(words):
        rest = " ".join(words[place:])
        date, ordinal, name = date_of(rest), _ORDINAL.fullmatch(word), weekday(word, False)
        if date is not None:
            found.update(day=str(date.day), month=str(date.month))
            if date.year is not None:
                found.update(year=str(date.year))
                found.setdefault("weekday", _weekday_of(rest, False) or "")
            return found
        if ordinal is not None:
            found["day"] = ordinal.group(1)
        elif word in ORDINAL_WORDS:
            found["day"] = str(ORDINAL_WORDS.index(word))
        elif name is not None:
            found["weekday"] = name
        elif word in _RELATIVE:
            found["relative"] = f"{found.get('relative', '')} {_RELATIVE[word]}"
        elif word not in _EMPTY:
            return {}
    return found
