"""How errors quote what they found, name a few of many, and suggest what may have been meant."""

from __future__ import annotations

import re
from typing import Iterable

from rasa_onramp.near_names import nearest

__all__ = ["UNSTORABLE", "did_you_mean", "one_line", "quote", "some", "visible"]

#: Characters that escapes can write down, but no UTF-8 file or SQL text can hold: NUL and halves of
#: surrogate pairs.
UNSTORABLE = re.compile("[\\0\ud800-\udfff]")

#: What steers a terminal: control characters but tab and newline, and what turns the direction of
#: writing; and halves of surrogate pairs, which can't be written at all.
_STEERING = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_LONGEST_QUOTE = 60
_LONGEST_LIST = 8


def quote(value: object) -> str:
    """`value` in quotes on one line, cut short where it is long."""
    try:
        text = value if isinstance(value, str) else str(value)
    except (RecursionError, ValueError):  # lists in lists in lists …; a number of many digits
        text = "something nested too deeply or too long"
    if len(text) > _LONGEST_QUOTE:
        text = text[: _LONGEST_QUOTE - 3] + "..."
    return ascii(text) if not text.isprintable() else repr(text)


def visible(text: str) -> str:
    """`text` for a terminal: characters that would steer it are shown as escapes, so that nobody's
    words can clear the screen or write over other lines.
    """
    return _STEERING.sub(lambda found: ascii(found.group())[1:-1], text)


def one_line(text: str) -> str:
    """`visible` where a text is to be one line among others: line breaks and tabs are escapes too,
    so that nobody's words can pass for another line.
    """
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def did_you_mean(name: str, known: Iterable[str], what: str) -> str:
    """A mend that names the nearest of the `known` ones, or lists them, or says there are none."""
    names = list(known)
    if not names:
        return f"declare {what} first"
    near = nearest(name, names)
    if near is not None:
        return f"did you mean {quote(near)}?"
    listed = ", ".join(quote(each) for each in names[:_LONGEST_LIST])
    rest = len(names) - _LONGEST_LIST
    return f"use one of {listed}" + (f" or {rest} more" if rest > 0 else "")


def some(names: Iterable[str], most: int) -> str:
    """The first of many names, `most` of them, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
