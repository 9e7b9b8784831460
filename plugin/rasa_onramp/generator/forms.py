"""The forms in which one value may stand in a text: inflected, reformatted, in another case.

A form is a name such as "verbatim", "plural" or "time.5 pm|upper". `render` writes any value in a
form, leaving alone what the form doesn't fit, so a template made with "friday" also takes
"2 p.m.". `surfaces` lists every form of a value, to look for them in a text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Callable, Dict, Mapping, Optional, Tuple

from rasa_onramp.generator.quantities import WRITERS

__all__ = ["LONGEST", "VERBATIM", "WEAK_FORMS", "form_of", "render", "surfaces"]

VERBATIM = "verbatim"

#: Forms that are too often something else ("8th" of a date, "second" of a list) to be believed
#: without a mark or a word of the slot's name beside them.
WEAK_FORMS = ("number.2nd", "ordinal.second")

#: Characters of the longest value that has other forms than itself: no number, time or date is
#: longer, and Python reads none of more than 4,300 digits.
LONGEST = 200


def render(value: str, form: str, clock24: bool = False) -> str:
    """`value` written in `form`, or as near as the value allows.

    `clock24` says that a bare "11:30" is known to be on the 24-hour clock, as in an API's results.
    """
    base, _, case = form.partition("|")
    written = _base(value, base, clock24)
    text = value if written is None else written
    return _CASES[case](text) if case else text


def surfaces(value: str, clock24: bool = False) -> Tuple[Tuple[str, str], ...]:
    """The (text, form) pairs of `value`, each text once, plainest form first; cases aside."""
    return ((value, VERBATIM),) if len(value) > LONGEST else _surfaces(value, clock24)


@lru_cache(maxsize=8192)
def _surfaces(value: str, clock24: bool) -> Tuple[Tuple[str, str], ...]:
    found: Dict[str, str] = {value: VERBATIM}
    for base in (*_INFLECTIONS, *WRITERS):
        written = _base(value, base, clock24)
        if written:
            found.setdefault(written, base)
    return tuple(found.items())


def form_of(text: str, value: str, clock24: bool = False) -> Optional[str]:
    """The form in which `value` is written exactly as `text`, or None."""
    for written, form in surfaces(value, clock24):
        if written == text:
            return form
    for written, form in surfaces(value, clock24):
        if written.lower() == text.lower():
            for case, change in _CASES.items():
                if change(written) == text:
                    return f"{form}|{case}"
    return None


# -- inflection ----------------------------------------------------------------------------------

_LAST_WORD = re.compile(r"[^\W\d_]{3,}$")

#: Words whose singular ends in "ie".
_IN_IE = re.compile(
    r"\b(?:[a-z]|mov|cook|brown|smooth|self|zomb|rook|hood|food|pix)ies$", re.IGNORECASE
)


def _plural(value: str) -> Optional[str]:
    if not _LAST_WORD.search(value) or re.search(r"[^s]s$", value):
        return None
    if re.search(r"[^aeiou]y$", value):
        return value[:-1] + "ies"
    return value + ("es" if re.search(r"(?:s|x|z|ch|sh)$", value) else "s")


def _singular(value: str) -> Optional[str]:
    if not _LAST_WORD.search(value) or not re.search(r"[^isu]s$", value):
        return None  # "Paris", "bus", "glass"
    if value.endswith("ies") and not _IN_IE.search(value):
        return value[:-3] + "y"
    with_es = re.search(r"(?:ss|x|z|ch|sh)es$", value) and not re.search(r"[^eo]aches$", value)
    return value[:-2] if with_es else value[:-1]


#: Words that a schema or an API joins, not "RX_48" or "john_doe@mail.com".
_JOINED = re.compile(r"[A-Z]?[a-z]+(?:_[a-z]+)+|[A-Z]+(?:_[A-Z]+)+")


def _spaced(value: str) -> Optional[str]:
    return value.replace("_", " ") if _JOINED.fullmatch(value) else None


def _told(value: str) -> Optional[str]:
    return {"True": "yes", "False": "no"}.get(value) or _spaced(value)


def _without_article(value: str) -> Optional[str]:
    match = re.fullmatch(r"(?:the|a|an) (.+)", value, re.IGNORECASE)
    return match.group(1) if match else None


_INFLECTIONS: Mapping[str, Callable[[str], Optional[str]]] = {
    "plural": _plural,
    "singular": _singular,
    "spaced": _spaced,
    "told": _told,
    "without article": _without_article,
}


def _base(value: str, base: str, clock24: bool) -> Optional[str]:
    if len(value) > LONGEST:
        return None
    if base in _INFLECTIONS:
        return _INFLECTIONS[base](value)
    return WRITERS[base](value, clock24) if base in WRITERS else None


# -- case ----------------------------------------------------------------------------------------
# Each leaves alone a value that carries its own capitals ("McDonald's", "RX4821").


def _lower(text: str) -> str:
    return (
        text.lower() if all(word[:1] + word[1:].lower() == word for word in text.split()) else text
    )


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:] if text.islower() else text


def _title(text: str) -> str:
    if not text.islower():
        return text
    return re.sub(r"(^|\s)(\S)", lambda match: match.group(1) + match.group(2).upper(), text)


_CASES: Mapping[str, Callable[[str], str]] = {
    "lower": _lower,
    "capitalised": _capitalised,
    "title": _title,
    "upper": str.upper,
}
