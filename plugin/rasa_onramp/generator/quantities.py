"""Reading amounts of money and numbers in a value, and the styles in which quantities are written.

An amount keeps its own currency; one without any takes the style's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Mapping, Optional

from rasa_onramp.generator.times import (
    Writer,
    date_writer,
    ordinal,
    spoken_time,
    twelve_hour_writer,
    twenty_four_hour_writer,
    weekday,
)

__all__ = ["CURRENCIES", "MONEY", "NUMBER_WORDS", "ORDINAL_WORDS", "WRITERS"]

NUMBER_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
ORDINAL_WORDS = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
]
#: How a currency is written, by its sign: the word in the singular, and the code.
CURRENCIES = {"$": ("dollar", "usd"), "£": ("pound", "gbp"), "€": ("euro", "eur")}
_SIGN = f"[{''.join(CURRENCIES)}]"
_UNIT = "|".join(f"{word}s?|{code}" for word, code in CURRENCIES.values())
#: A currency, as a regular expression for any case.
MONEY = rf"{_SIGN}|(?<![a-z])(?:{_UNIT})(?![a-z])"
_SIGNS = {name: sign for sign, names in CURRENCIES.items() for name in names}


@dataclass(frozen=True)
class _Amount:
    digits: str  # "1200" or "12.5"
    currency: Optional[str]


_AMOUNT = re.compile(
    rf"(?P<sign>{_SIGN})?\s?(?P<n>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"(?:\s?(?P<unit>{_SIGN}|{_UNIT}))?",
    re.IGNORECASE,
)


def _amount(value: str) -> Optional[_Amount]:
    match = _AMOUNT.fullmatch(value.strip())
    if not match or (match["sign"] and match["unit"]):
        return None
    unit = match["sign"] or match["unit"]
    if unit and unit not in CURRENCIES:
        unit = _SIGNS[unit.lower().rstrip("s")]
    return _Amount(match["n"].replace(",", ""), unit)


def _grouped(digits: str) -> str:
    whole, point, fraction = digits.partition(".")
    return f"{int(whole):,}{point}{fraction}"


def _money(pattern: str, currency: str, *, cents: bool = False) -> Writer:
    """An amount in `pattern`; `currency` is used only where the value names none itself."""

    def write(value: str, clock24: bool) -> Optional[str]:
        amount = _amount(value)
        if amount is None:
            return None
        whole, _, fraction = amount.digits.partition(".")
        if len(fraction) > 2:
            return None
        # 12.5 is written 12.50, and 12.00 is written 12 unless cents are wanted.
        has_cents = cents or bool(fraction.strip("0"))
        number = f"{int(whole):,}" + (f".{fraction:0<2}" if has_cents else "")
        sign = amount.currency or currency
        unit, _ = CURRENCIES[sign]
        return pattern.format(number=number, sign=sign, unit=unit if number == "1" else f"{unit}s")

    return write


def _number(style: Callable[[str], Optional[str]]) -> Writer:
    def write(value: str, clock24: bool) -> Optional[str]:
        return style(value.strip()) if re.fullmatch(r"\d+(?:\.\d+)?", value.strip()) else None

    return write


def _ordinal_to(style: Callable[[int], Optional[str]]) -> Writer:
    def write(value: str, clock24: bool) -> Optional[str]:
        lowered = value.lower().strip()
        lowered = lowered[4:] if lowered.startswith("the ") else lowered
        if lowered in ORDINAL_WORDS:
            return style(ORDINAL_WORDS.index(lowered))
        match = re.fullmatch(r"(\d+)(st|nd|rd|th)", lowered)
        return style(int(match.group(1))) if match else None

    return write


def _word_to_digit(value: str, clock24: bool) -> Optional[str]:
    return str(NUMBER_WORDS.index(value.lower())) if value.lower() in NUMBER_WORDS else None


def _digit_to_word(digits: str) -> Optional[str]:
    return NUMBER_WORDS[int(digits)] if digits.isdigit() and int(digits) <= 20 else None


#: Style name -> writer, in the order of preference.
WRITERS: Mapping[str, Writer] = {
    "time.5 pm": twelve_hour_writer(" ", "{}m", full=False),
    "time.5pm": twelve_hour_writer("", "{}m", full=False),
    "time.5 p.m.": twelve_hour_writer(" ", "{}.m.", full=False),
    "time.5:00 pm": twelve_hour_writer(" ", "{}m", full=True),
    "time.5:00pm": twelve_hour_writer("", "{}m", full=True),
    "time.5:00 p.m.": twelve_hour_writer(" ", "{}.m.", full=True),
    "time.17:00": twenty_four_hour_writer("{:02d}:{:02d}"),
    "time.9:00": twenty_four_hour_writer("{}:{:02d}"),
    "time.spoken": spoken_time,
    "date.March 8": date_writer("{m} {d}"),
    "date.March 8th": date_writer("{m} {o}"),
    "date.8 March": date_writer("{d} {m}"),
    "date.8th March": date_writer("{o} {m}"),
    "date.8th of March": date_writer("{o} of {m}"),
    "date.the 8th of March": date_writer("the {o} of {m}"),
    "date.March the 8th": date_writer("{m} the {o}"),
    "date.Mar 8": date_writer("{b} {d}"),
    "date.8 Mar": date_writer("{d} {b}"),
    "date.March 8, 2019": date_writer("{m} {d}, {y}"),
    "date.March 8th, 2019": date_writer("{m} {o}, {y}"),
    "date.8 March 2019": date_writer("{d} {m} {y}"),
    "date.Friday, March 8": date_writer("{w}, {m} {d}"),
    "date.Friday, March 8th": date_writer("{w}, {m} {o}"),
    "date.Friday 8 March": date_writer("{w} {d} {m}"),
    "date.Friday the 8th of March": date_writer("{w} the {o} of {m}"),
    "date.2019-03-08": date_writer("{y}-{n:02d}-{d:02d}"),
    "date.Friday": weekday,
    "money.$45": _money("{sign}{number}", "$"),
    "money.$45.00": _money("{sign}{number}", "$", cents=True),
    "money.45 dollars": _money("{number} {unit}", "$"),
    "money.£45": _money("{sign}{number}", "£"),
    "money.£45.00": _money("{sign}{number}", "£", cents=True),
    "money.45 pounds": _money("{number} {unit}", "£"),
    "money.€45": _money("{sign}{number}", "€"),
    "money.€45.00": _money("{sign}{number}", "€", cents=True),
    "money.45 euros": _money("{number} {unit}", "€"),
    "money.45 €": _money("{number} {sign}", "€"),
    "number.1,200": _number(_grouped),
    "number.two": _number(_digit_to_word),
    "number.2": _word_to_digit,
    "ordinal.2nd": _ordinal_to(ordinal),
    "ordinal.the 2nd": _ordinal_to(lambda number: f"the {ordinal(number)}"),
    "ordinal.second": _ordinal_to(
        lambda number: ORDINAL_WORDS[number] if number < len(ORDINAL_WORDS) else None
    ),
    "number.2nd": _number(lambda digits: ordinal(int(digits)) if digits.isdigit() else None),
}
