"""Reading times and dates, and writing them in another style.

A writer returns None for a value that is not of its kind. Nothing is guessed: a time without a.m.
or p.m. ("5:30") is never given one, and a date without a year never gets one.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Callable, Optional

__all__ = [
    "DAY_WORDS",
    "MONTHS",
    "Date",
    "Time",
    "Writer",
    "date_of",
    "date_writer",
    "ordinal",
    "spoken_time",
    "time_of",
    "twelve_hour_writer",
    "twenty_four_hour_writer",
    "weekday",
]

#: (value, whether a bare clock time is known to be on the 24-hour clock) -> text, or None.
Writer = Callable[[str, bool], Optional[str]]

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

#: Days and times of day that are one word, in lower case. "Today" is too often said without need.
DAY_WORDS = frozenset(
    [
        *(name.lower() for name in _WEEKDAYS),
        *("noon", "midday", "midnight", "tonight", "tomorrow", "yesterday"),
    ]
)


# -- times ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Time:
    """A time of day."""

    hour: int  # 0 to 23, or 1 to 12 where `known` is false
    minute: int
    known: bool  # whether morning or afternoon is known


_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::00)?\s*([ap])?\.?(?:m\.?)?", re.IGNORECASE)
_MERIDIEM = re.compile(r"\d\s*[ap]\.?m\.?$", re.IGNORECASE)


def time_of(value: str, clock24: bool) -> Optional[Time]:
    """The time that a value is, None if it is none. `clock24`: a bare "11:30" is before noon."""
    value = value.strip()
    if value.lower() in ("noon", "midday"):
        return Time(12, 0, True)
    if value.lower() == "midnight":
        return Time(0, 0, True)
    oclock = re.fullmatch(r"(\d{1,2}) o'clock", value, re.IGNORECASE)
    match = oclock or _CLOCK.fullmatch(value)
    if not match:
        return None
    hour = int(match.group(1))
    minute = 0 if oclock else int(match.group(2) or 0)
    if _MERIDIEM.search(value):
        if not 1 <= hour <= 12 or minute > 59:
            return None
        return Time(hour % 12 + 12 * (match.group(3).lower() == "p"), minute, True)
    if (not oclock and match.group(2) is None) or hour > 23 or minute > 59:
        return None
    known = hour > 12 or hour == 0 or value.startswith("0") or (clock24 and not oclock)
    return Time(hour, minute, known)


def twelve_hour_writer(separator: str, meridiem: str, *, full: bool) -> Writer:
    """A writer of "5 pm": what stands before "{}m", how that looks, and whether :00 is written."""

    def write(value: str, clock24: bool) -> Optional[str]:
        time = time_of(value, clock24)
        if time is None:
            return None
        hour = time.hour % 12 or 12
        if not time.known:
            return f"{hour}:{time.minute:02d}"
        clock = f"{hour}:{time.minute:02d}" if time.minute or full else str(hour)
        return clock + separator + meridiem.format("p" if time.hour >= 12 else "a")

    return write


def twenty_four_hour_writer(pattern: str) -> Writer:
    """A writer of "17:00"; `pattern` formats the hour and the minute."""

    def write(value: str, clock24: bool) -> Optional[str]:
        time = time_of(value, clock24)
        if time is None:
            return None
        return (
            pattern.format(time.hour, time.minute)
            if time.known
            else f"{time.hour}:{time.minute:02d}"
        )

    return write


def spoken_time(value: str, clock24: bool) -> Optional[str]:
    """Writes "noon", "5 o'clock", "half past 5"."""
    time = time_of(value, clock24)
    if time is None:
        return None
    if time.known and time.minute == 0 and time.hour in (0, 12):
        return "noon" if time.hour else "midnight"
    hour = time.hour % 12 or 12
    spoken = {0: f"{hour} o'clock", 15: f"quarter past {hour}", 30: f"half past {hour}"}
    return spoken.get(time.minute)


# -- dates ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Date:
    """A day of a month, and perhaps of a year."""

    day: int
    month: int
    year: Optional[int]


_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in MONTHS)
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"),
    re.compile(
        rf"(?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{_MONTH})\.?"
        r"(?:,? (?P<y>\d{4}))?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<m>{_MONTH})\.? (?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<y>\d{{4}}))?",
        re.IGNORECASE,
    ),
)


def date_of(value: str) -> Optional[Date]:
    """The date that a value is, None if it is none."""
    for pattern in _DATES:
        match = pattern.fullmatch(value.strip())
        if not match:
            continue
        month = match["m"]
        number = int(month) if month.isdigit() else _month_number(month)
        date = Date(int(match["d"]), number, int(match["y"]) if match["y"] else None)
        try:
            datetime.date(date.year or 2000, date.month, date.day)
        except ValueError:
            return None
        return date
    return None


def _month_number(name: str) -> int:
    return [month[:3].lower() for month in MONTHS].index(name[:3].lower()) + 1


def ordinal(number: int) -> str:
    """1st, 2nd, 11th."""
    suffix = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def date_writer(pattern: str) -> Writer:
    """A writer of dates in `pattern`: d and o the day (8, 8th), m and b the month (March, Mar),
    n its number, w the weekday and y the year, without which none of these three is written.
    """

    def write(value: str, clock24: bool) -> Optional[str]:
        date = date_of(value)
        if date is None or (date.year is None and re.search(r"\{[wyn]", pattern)):
            return None
        month = MONTHS[date.month - 1]
        weekday = (
            _WEEKDAYS[datetime.date(date.year, date.month, date.day).weekday()] if date.year else ""
        )
        return pattern.format(
            d=date.day, o=ordinal(date.day), m=month, b=month[:3], n=date.month, y=date.year,
            w=weekday,
        )  # fmt: skip

    return write


def weekday(value: str, clock24: bool) -> Optional[str]:
    """Writes out "fri" and "friday" as "Friday"."""
    start = value.lower().rstrip(".")
    found = [name for name in _WEEKDAYS if len(start) >= 3 and name.lower().startswith(start)]
    return found[0] if found else None
