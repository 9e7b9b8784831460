"""What in a text is a number, with the unit that says of what: a time, a date, an amount."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Dict, List

from rasa_onramp.generator.quantities import CURRENCIES, MONEY
from rasa_onramp.generator.spotting import Region, longest, tokens
from rasa_onramp.generator.times import DAY_WORDS, MONTHS
from rasa_onramp.generator.units import is_measure, measures

__all__ = ["looks_like_data", "quantities"]


def quantities(text: str) -> List[Region]:
    """Where numbers stand in a text, with the unit that makes them a time, a date, an amount, a
    length of time or a percentage.
    """
    doc = tokens(text)
    regions = measures(text)
    regions += [
        (token.idx, token.idx + len(token))
        for token in doc
        if _has_digit(token.text) or token.like_url or token.like_email or _in_words(token)
    ]
    for _, start, end in _matcher(doc.vocab)(doc):
        span = doc[start:end]
        regions.append((span.start_char, span.end_char))
    return longest(regions)


def looks_like_data(claim: str) -> bool:
    """Whether a claim is a clock time, a date, an amount, a mail address or a link with a query,
    rather than a bare number, a number of hours or the like, a plain link, or a word.
    """
    if is_measure(claim):
        return False
    if "@" in claim or "?" in claim:
        return True
    if _has_digit(claim):
        return not re.fullmatch(r"\d+", claim)
    words = tokens(claim)
    return any(word.lower_ in DAY_WORDS for word in words) or (len(words) > 1 and words[0].like_num)


def _in_words(token: Any) -> bool:
    """Whether a token is a number, a day or a time of day in words."""
    word = token.lower_
    if word in ("one", "zero", "first", "second"):  # "one moment", "your first name"
        return False
    return token.like_num or word in DAY_WORDS or word in ("today", "dozen", "half")


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


@lru_cache(maxsize=1)
def _matcher(vocabulary: Any) -> Any:
    from spacy.matcher import Matcher

    number: Dict[str, Any] = {"TEXT": {"REGEX": r"^\d[\d,.:]*$"}}
    day: Dict[str, Any] = {"LOWER": {"REGEX": r"^\d{1,2}(st|nd|rd|th)?$"}}
    starts = "|".join(month[:3].lower() for month in MONTHS)
    month: Dict[str, Any] = {"LOWER": {"REGEX": rf"^({starts})[a-z]*\.?$"}}
    matcher = Matcher(vocabulary)
    spelt: Dict[str, Any] = {"LIKE_NUM": True}
    word: Dict[str, Any] = {"LIKE_NUM": True, "IS_ALPHA": True}
    hours = {"LOWER": {"IN": ["am", "pm", "a.m.", "p.m.", "o'clock"]}}
    units = {"LOWER": {"REGEX": rf"^(?:{MONEY})$"}}
    matcher.add("number", [[word, {"ORTH": "-"}, word]])
    matcher.add("time", [[number, hours], [spelt, hours]])
    matcher.add("money", [[{"TEXT": {"IN": list(CURRENCIES)}}, number]])
    matcher.add("money", [[number, units], [spelt, units]])
    matcher.add("date", [[month, day], [day, month], [day, {"LOWER": "of"}, month]])
    matcher.add("date", [[month, {"LOWER": "the"}, day]])
    return matcher
