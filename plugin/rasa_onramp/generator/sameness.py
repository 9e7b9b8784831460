"""Whether an API's value may be the one that a user wanted, however either spells it."""

from __future__ import annotations

import re
from typing import Mapping, Optional, Sequence

from rasa_onramp.generator.days import PARTS, days_of, same_day, speaks_of_days
from rasa_onramp.generator.forms import form_of
from rasa_onramp.generator.quantities import NUMBER_WORDS
from rasa_onramp.generator.spotting import plain_values
from rasa_onramp.generator.times import Time, time_of

__all__ = ["agrees", "may_be_same"]

#: Characters of a time or day that is read.
_LONGEST = 40

_HOURS = NUMBER_WORDS[1:13]
_SPOKEN_TIME = re.compile(
    r"(?:(?P<quarter>half|half past|(?:a )?quarter past|(?:a )?quarter to) )?"
    rf"(?P<hour>{'|'.join(_HOURS)}|\d{{1,2}})"
)
#: What only a time has: "7" and "3.30" may be other numbers.
_OF_TIMES = re.compile(
    r"\d:\d|\d\s*[ap]\.?m\b|o'clock|noon|midday|midnight|half|quarter", re.IGNORECASE
)
_TIME_WORDS = frozenset((*_HOURS, "am", "pm", "o'clock", "half", "quarter", "midnight", "lunch"))
_IN_PART = re.compile(r"(?: in the| at)? (?:morning|afternoon|evening|night)$")
_DECIMAL = re.compile(r"\d+\.\d+")


def may_be_same(told: str, wanted: str) -> bool:
    """Whether `told`, of an API's results, may be `wanted`, of a user's.

    It may where one is a form of the other. A time without a.m. or p.m. may be either, and "6/7" of
    June or of July. Days are compared as far as both say which: a Friday may be any date that is
    one; and of a date nobody can tell whether it is "tomorrow", or "any day but Monday".
    """
    if told.casefold() == wanted.casefold():
        return True
    if form_of(told, wanted) or form_of(wanted, told, clock24=True):
        return True
    if max(len(told), len(wanted)) > _LONGEST:
        return False
    if _DECIMAL.fullmatch(told) and _DECIMAL.fullmatch(wanted):
        return False  # numbers: "3.30" is a time, or a date, only beside one
    days, wanted_days = days_of(told), days_of(wanted)
    if any(map(same_day, days, wanted_days)):
        return True
    time, wanted_time = _clock(told, True), _wanted_time(wanted)
    timed = time is not None and bool(_OF_TIMES.search(told))
    part = next((word for word in wanted.lower().split() if word in PARTS), None)
    hours = range(24) if part is None else PARTS[part]
    if time is not None and timed and time.known and time.hour not in hours:
        return False
    if time is not None and wanted_time is not None:
        return (timed or bool(_OF_TIMES.search(wanted))) and _same_time(time, wanted_time)
    if any(wanted_days) or wanted_time is not None:  # it was read
        return timed and part is not None
    dated = any("month" in day for day in days) and not _DECIMAL.fullmatch(told)
    return (dated or timed) and _speaks_of_times(wanted)


def agrees(row: Mapping[str, str], values: Mapping[str, Sequence[str]]) -> bool:
    """Whether a result row may have all values of the state that it has any for."""
    for slot, told in row.items():
        wanted = plain_values(values.get(slot))
        if wanted and not any(may_be_same(told, each) for each in wanted):
            return False
    return True


def _same_time(told: Time, wanted: Time) -> bool:
    if told.minute != wanted.minute:
        return False
    return told.hour == wanted.hour or ((told.hour - wanted.hour) % 12 == 0 and not wanted.known)


def _clock(text: str, clock24: bool) -> Optional[Time]:
    """Reads "3.30pm", too."""
    return time_of(re.sub(r"^(\d{1,2})\.(\d\d)(?!\d)", r"\1:\2", text.strip()), clock24)


def _wanted_time(text: str) -> Optional[Time]:
    text = _IN_PART.sub("", re.sub(r"^at ", "", text.strip().lower()))
    return _clock(text, False) or _spoken(text)


def _spoken(text: str) -> Optional[Time]:
    """Reads "half seven", "quarter to ten", and "7" for a time."""
    match = _SPOKEN_TIME.fullmatch(text)
    if match is None:
        return None
    word = match["hour"]
    hour = int(word) if word.isdigit() else NUMBER_WORDS.index(word)
    quarter = match["quarter"] or ""
    if quarter.endswith("to"):
        return Time(hour - 1, 45, False)
    return Time(hour, 30 if "half" in quarter else 15 if quarter else 0, False)


def _speaks_of_times(text: str) -> bool:
    """Whether a text that isn't read speaks of a day or a time: "friday after work"."""
    words = [(word, _is_of_times(word.lower().strip(".?!"))) for word in text.split()]
    if any(word[1:].islower() and word[:1].isupper() for word, speaks in words if not speaks):
        return False  # a name: "Friday Bridge"
    return any(speaks for _, speaks in words)


def _is_of_times(word: str) -> bool:
    return word[:1].isdigit() or word in _TIME_WORDS or speaks_of_days(word)
