"""How an error quotes what it found and suggests what may have been meant."""

from __future__ import annotations

import difflib
import re
from typing import Iterable

__all__ = ["UNSTORABLE", "did_you_mean", "quote"]

#: Characters that escapes can write down, but no UTF-8 file or SQL text can hold: NUL and halves of
#: surrogate pairs.
UNSTORABLE = re.compile("[\\0\ud800-\udfff]")

_LONGEST_QUOTE = 60
_LONGEST_LIST = 8


def quote(value: object) -> str:
    """`value` in quotes on one line, cut short where it is long."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > _LONGEST_QUOTE:
        text = text[: _LONGEST_QUOTE - 3] + "..."
    return ascii(text) if not text.isprintable() else repr(text)


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
