"""How an error quotes what it found and suggests what may have been meant."""

from __future__ import annotations

import difflib
import re
from typing import Iterable

__all__ = ["UNSTORABLE", "did_you_mean", "quote", "visible"]

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


def did_you_mean(name: str, known: Iterable[str], what: str) -> str:
    """A mend that names the nearest of the `known` ones, or lists them, or says there are none."""
    names = list(known)
    if not names:
        return f"declare {what} first"
    # difflib is quadratic: a name of a megabyte resembles none of ours anyway.
    near = difflib.get_close_matches(name[:200], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {quote(near[0])}?"
    listed = ", ".join(quote(each) for each in names[:_LONGEST_LIST])
    rest = len(names) - _LONGEST_LIST
    return f"use one of {listed}" + (f" or {rest} more" if rest > 0 else "")
