"""Values made up by seed: times, days, people, addresses, codes and so on, as people write them."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional

from ruamel.yaml import YAML

from spec import Slot

__all__ = ["PICKY", "PROPER", "Maker", "Value"]

_WORDS = ["time", "day", "date", "birth_date", "person", "first_name", "phone", "email", "address"]
#: The kinds that a domain file may name.
KINDS = frozenset(
    [*_WORDS, "street", "city", "country", "postcode", "amount", "count", "duration", "plate"]
)
#: Kinds for which "any is fine" is no answer.
PICKY = frozenset({*KINDS, "code"} - {"time", "day", "date", "amount", "count", "duration"})
#: Kinds that the bot writes with capitals whatever the user does.
PROPER = frozenset(["person", "first_name", "city", "street"])

#: Lists of names, days, numbers and so on.
_LISTS = YAML(typ="safe").load(Path(__file__).resolve().with_name("names.yml"))
_DAYS, _MONTHS, _NUMBERS = _LISTS["days"], _LISTS["months"], _LISTS["numbers"]


class Value(NamedTuple):
    """A value as written, and what orders it among values of its kind, if anything does."""

    text: str
    key: Optional[float] = None


def _ordinal(n: int) -> str:
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


class Maker:
    """Makes values of slots; `house` is a bot's way of writing, the same for a dialogue."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.year = rng.choice([2024, 2025, 2026, 2027])
        self.house: Dict[str, Any] = {
            "time": rng.randrange(3),
            "date": rng.randrange(4),
            "money": rng.choice(["${}", "{} euros", "€{}", "£{}", "{} EUR", "{} dollars"]),
        }

    def make(self, slot: Slot, bot: bool = False) -> Value:
        """A value of `slot`, written by the bot or by a user."""
        rng = self.rng
        if slot.listed:
            return Value(rng.choice(list(slot.listed)))
        if slot.examples:
            return Value(rng.choice(slot.examples))
        if slot.kind == "code":
            return Value(self.code(rng.choice(slot.patterns)))
        kinds: Dict[str, Callable[[bool], Value]] = {
            "time": self.time,
            "day": self.day,
            "date": self.date,
            "birth_date": self.birth_date,
            "amount": self.amount,
            "count": self.count,
            "duration": self.duration,
        }
        if slot.kind in kinds:
            return kinds[slot.kind](bot)
        return Value(getattr(self, slot.kind)())

    def code(self, pattern: str) -> str:
        """A code after a pattern: L letter, l lower case, # digit, X letter or digit."""
        upper = "ABCDEFGHJKLMNPQRSTUVWXYZ"
        sets = {"L": upper, "l": upper.lower(), "#": string.digits, "X": upper + string.digits}
        return "".join(self.rng.choice(sets[c]) if c in sets else c for c in pattern)

    def time(self, bot: bool) -> Value:
        """A time of day."""
        rng = self.rng
        hour = rng.choice([8, 9, 9, 10, 10, 11, 12, 13, 14, 14, 15, 16, 16, 17, 18, 19, 20])
        minute = rng.choice([0, 0, 0, 0, 15, 30, 30, 45, 10, 20, 40, 50, 5])
        key = hour * 60 + minute
        half, small = ("pm" if hour >= 12 else "am"), (hour - 1) % 12 + 1
        word = _NUMBERS[small - 1]
        following = _NUMBERS[small % 12]
        clock = [f"{hour}:{minute:02}", f"{small}:{minute:02} {half}", f"{small}:{minute:02}{half}"]
        if bot:
            return Value(clock[self.house["time"]] if self.house["time"] < 2 else clock[0], key)
        ways = [*clock[:2], clock[0], clock[2], f"{hour}.{minute:02}", f"{hour}:{minute:02}"]
        if minute == 0:
            ways = [f"{small} {half}", f"{small}{half}", f"{small}{half}", f"{hour}:00"]
            ways += [f"{small} o'clock", f"{word} o'clock", f"{small} {half}", clock[1]]
            if hour == 12:
                ways += ["noon", "noon", "12 noon"]
        elif minute == 30:
            ways += [f"half past {word}", f"half past {small}", f"half {word}", f"{word} thirty"]
        elif minute == 15:
            ways += [f"quarter past {word}", f"quarter past {small}"]
        elif minute == 45:
            ways += [f"quarter to {following}", f"quarter to {small % 12 + 1}"]
        elif minute in (10, 20):
            ways += [f"{_NUMBERS[minute - 1]} past {word}"]
        return Value(rng.choice(ways), key)

    def day(self, bot: bool) -> Value:
        """A day, rarely with its month."""
        rng = self.rng
        name, date = rng.choice(_DAYS), rng.randrange(1, 29)
        month = rng.choice(_MONTHS)
        nth = _ordinal(date)
        ways = [name, name, name, f"next {name}", f"the {nth}", f"{name} the {nth}"]
        ways += ["tomorrow", f"{nth} {month}", f"{month} {nth}"]
        if not bot:
            ways += [name, name[:3].lower(), name.lower(), f"this {name}", "today", "tomorrow"]
            ways += ["tmrw", f"{name} next week", f"the {nth}", f"{date} {month[:3]}"]
            ways += ["the day after tomorrow", f"next {name.lower()}", f"coming {name}"]
        return Value(rng.choice(ways))

    def date(self, bot: bool) -> Value:
        """A date, usually without a year."""
        rng = self.rng
        m, d, year = rng.randrange(12), rng.randrange(1, 29), self.year
        key = m * 31 + d
        month = _MONTHS[m]
        house = [f"{d} {month}", f"{month} {d}", f"{d:02}/{m + 1:02}/{year}"]
        house += [f"{year}-{m + 1:02}-{d:02}"]
        if bot:
            return Value(house[self.house["date"]], key)
        nth = _ordinal(d)
        ways = [*house, f"{d} {month[:3]}", f"{month[:3]} {nth}", f"{month} {nth}", f"{month} {d}"]
        ways += [f"the {nth} of {month}", f"{d:02}/{m + 1:02}", f"{d}.{m + 1}.", f"{d}/{m + 1}"]
        ways += [f"{nth} {month}", f"{month[:3]} {d}", f"{d}.{m + 1}.{year}"]
        return Value(rng.choice(ways), key)

    def birth_date(self, bot: bool) -> Value:
        """A day of birth with its year."""
        rng = self.rng
        m, d, year = rng.randrange(12), rng.randrange(1, 29), rng.randrange(1938, 2016)
        month = _MONTHS[m]
        ways = [f"{d} {month} {year}", f"{month} {d}, {year}", f"{d:02}/{m + 1:02}/{year}"]
        ways += [f"{year}-{m + 1:02}-{d:02}", f"{d}.{m + 1}.{year}", f"{d}/{m + 1}/{year % 100:02}"]
        ways += [f"{_ordinal(d)} of {month} {year}", f"{d} {month[:3]} {year}"]
        ways += [f"{d}-{m + 1}-{year}"]
        ways += [f"{month[:3]} {_ordinal(d)} {year}", f"{d:02}{m + 1:02}{year}"]
        return Value(rng.choice(ways))

    def person(self) -> str:
        """A first and a last name."""
        rng = self.rng
        first, last = self.first_name(), rng.choice(_LISTS["last"])
        if rng.random() < 0.06:
            initial = rng.choice(string.ascii_uppercase)
            return rng.choice([f"{first[0]}. {last}", f"{first} {initial}. {last}"])
        if rng.random() < 0.06:
            return f"{first} {last}-{rng.choice(_LISTS['last'])}"
        return f"{first} {last}"

    def first_name(self) -> str:
        """A first name."""
        return self.rng.choice(_LISTS["first"])

    def phone(self) -> str:
        """A telephone number out of ranges that are kept for fiction."""
        patterns = ["07700 900###", "07700900###", "+44 7700 900###", "555-01##", "(555) 555-01##"]
        patterns += ["020 7946 0###", "+1 202 555 01##", "202-555-01##", "0161 496 0###"]
        return self.code(self.rng.choice([*patterns, "01632 960###", "+447700900###"]))

    def email(self) -> str:
        """An e-mail address at a host that nobody has."""
        rng = self.rng
        first = self.first_name().lower()
        last = rng.choice(_LISTS["last"]).lower().replace(" ", "").replace("'", "")
        number = rng.randrange(1, 99)
        ways = [f"{first}.{last}", f"{first[0]}{last}", f"{first}{number}", f"{first}_{last}"]
        return f"{rng.choice([*ways, f'{last}.{first}{number}'])}@{rng.choice(_LISTS['hosts'])}"

    def street(self) -> str:
        """A street."""
        return self.rng.choice(_LISTS["streets"])

    def address(self) -> str:
        """A street and number, sometimes with a flat or a town."""
        rng = self.rng
        flat = f"{rng.randrange(1, 90)}{rng.choice('ABc')}"
        number = rng.choice([str(rng.randrange(1, 250)), str(rng.randrange(1, 250)), flat])
        at = f"{number} {self.street()}"
        ways = [at, at, at, f"{at}, {self.city()}", f"flat {rng.randrange(1, 40)}, {at}"]
        return rng.choice([*ways, f"{self.street()} {number}"])

    def city(self) -> str:
        """A city."""
        return self.rng.choice(_LISTS["cities"])

    def country(self) -> str:
        """A country."""
        return self.rng.choice(_LISTS["countries"])

    def postcode(self) -> str:
        """A postcode of one country or another."""
        patterns = ["LL# #LL", "L## #LL", "LL## #LL", "#####", "#####", "####", "#### LL"]
        return self.code(self.rng.choice(patterns))

    def plate(self) -> str:
        """A car's number plate."""
        patterns = ["LL## LLL", "LL##LLL", "LLL-####", "LL-###-LL", "L-LL ####", "###-LLL"]
        return self.code(self.rng.choice(patterns))

    def amount(self, bot: bool) -> Value:
        """A sum of money."""
        rng = self.rng
        n = rng.choice([5, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40, 45, 50, 60, 75, 80, 90, 100, 120])
        n = rng.choice([n, n, n * 10, rng.randrange(6, 400)])
        if bot:
            return Value(self.house["money"].format(n), n)
        ways = ["${}", "${}", "{} euros", "€{}", "£{}", "{} dollars", "{} pounds", "{}€", "{} EUR"]
        ways += ["{}", "{} bucks", "{} quid", "$ {}", "{} usd", "${}.50", "£{}.99"]
        return Value(rng.choice(ways).format(n), n)

    def count(self, bot: bool) -> Value:
        """A small number."""
        n = self.rng.choice([1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 10, 12, 15, 20])
        return Value(str(n) if bot or self.rng.random() < 0.6 else _NUMBERS[n - 1], n)

    def duration(self, bot: bool) -> Value:
        """How long something takes."""
        rng = self.rng
        units = [("hour", 8), ("day", 10), ("week", 6), ("month", 12), ("minute", 0)]
        unit, most = rng.choice(units)
        n = rng.randrange(1, most + 1) if most else rng.choice([15, 20, 30, 45, 90])
        said = str(n) if bot or n > 20 or rng.random() < 0.6 else _NUMBERS[n - 1]
        key = n * {"minute": 1, "hour": 60, "day": 1440, "week": 10080, "month": 43200}[unit]
        text = f"{said} {unit}{'s' if n > 1 else ''}"
        if not bot and n == 1:
            text = rng.choice([text, f"{'an' if unit == 'hour' else 'a'} {unit}"])
        return Value(text, key)
