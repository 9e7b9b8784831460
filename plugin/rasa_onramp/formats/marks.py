"""Marked text: `[tomorrow](day)` says that "tomorrow" is a value of the slot day.

These are the marks of Rasa's training data. `\\[`, `\\]` and `\\\\` stand for the characters
themselves.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Span
from rasa_onramp.formats.wording import quote

__all__ = ["MarkError", "parse_marks", "trimmed", "write_marks"]

_SPECIAL = re.compile(r"[\\\[\]]")
_SLOT = re.compile(r"\(([^()\[\]]*)\)")


class MarkError(ValueError):
    """A mark that isn't whole. `mend` says what to do."""

    def __init__(self, message: str, mend: str):
        super().__init__(message)
        self.mend = mend


def parse_marks(marked: str) -> Tuple[str, Tuple[Span, ...]]:
    """The plain text, and the spans marked in it, in order; they never overlap.

    Spaces at a mark's edges stay in the text but not in the span. Raises MarkError.
    """
    text: List[str] = []
    length = 0
    spans: List[Span] = []
    start = None  # of the open mark: a character of the plain text, and
    opened = 0  # an index into `text`
    position = 0
    for found in _SPECIAL.finditer(marked):
        if found.start() < position:  # the second half of an escape, or inside a slot's name
            continue
        text.append(marked[position : found.start()])
        length += len(text[-1])
        position = found.end()
        char = found.group()
        if char == "\\":
            escaped = marked[position : position + 1]
            if escaped and escaped in "\\[]":
                position += 1
                char = escaped
            text.append(char)
            length += 1
        elif char == "[":
            if start is not None:
                raise MarkError("a mark inside a mark", "close the first one, or write \\[")
            start = length
            opened = len(text)
        else:
            if start is None:
                raise MarkError("a ] without its [", "write [text](slot), or \\] for the bracket")
            slot = _SLOT.match(marked, position)
            if slot is None:
                raise MarkError("a [text] without its (slot)", "write [text](slot), or \\[text\\]")
            position = slot.end()
            spans.append(_span(slot.group(1).strip(), "".join(text[opened:]), start))
            start = None
    if start is not None:
        raise MarkError("a [ that is never closed", "write [text](slot), or \\[ for the bracket")
    text.append(marked[position:])
    return "".join(text), tuple(spans)


def write_marks(text: str, spans: Sequence[Span]) -> str:
    """`text` with its `spans` marked. Raises ValueError where spans overlap or lie outside."""
    made: List[str] = []
    position = 0
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if not position <= span.start < span.end <= len(text):
            raise ValueError(f"the span {span.start}-{span.end} can't be marked in {quote(text)}")
        inside = _escape(text[span.start : span.end])
        made.append(f"{_escape(text[position : span.start])}[{inside}]({span.slot})")
        position = span.end
    return "".join([*made, _escape(text[position:])])


def trimmed(span: Span, text: str) -> Optional[Span]:
    """A span of `text` without the spaces at its edges, which no mark has; None if it is blank."""
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    end = start + len(inside.strip())
    return Span(span.slot, start, end) if start < end else None


def _span(slot: str, inside: str, start: int) -> Span:
    if not slot:
        raise MarkError(f"[{inside[:40]}]() names no slot", "write [text](slot)")
    if not inside.strip():
        raise MarkError(f"the mark of {quote(slot)} is empty", "mark some text")
    start += len(inside) - len(inside.lstrip())
    return Span(slot, start, start + len(inside.strip()))


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: "\\" + found.group(), text)
