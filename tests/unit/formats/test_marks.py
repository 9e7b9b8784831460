"""Marks in a turn's text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_onramp.dialogue import Span
from rasa_onramp.formats.marks import MarkError, parse_marks, write_marks


def test_marks_become_spans_of_the_plain_text() -> None:
    text, spans = parse_marks("from [Leeds](origin) to [St. Ives](destination)!")
    assert text == "from Leeds to St. Ives!"
    assert spans == (Span("origin", 5, 10), Span("destination", 14, 22))
    assert [text[span.start : span.end] for span in spans] == ["Leeds", "St. Ives"]


def test_spaces_at_the_edges_of_a_mark_stay_outside_the_span() -> None:
    assert parse_marks("to [ York ]( city )") == ("to  York ", (Span("city", 4, 8),))


def test_parentheses_alone_are_text() -> None:
    assert parse_marks("(no) (really)") == ("(no) (really)", ())


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        (r"a \[b\](c)", "a [b](c)"),
        (r"one \\ two \n", r"one \ two \n"),
        ("ends with \\", "ends with \\"),
        (r"\\[x](s)", "\\x"),
    ],
)
def test_escapes(marked: str, plain: str) -> None:
    assert parse_marks(marked)[0] == plain


def test_escapes_inside_a_mark_count_once() -> None:
    assert parse_marks(r"[a\]b](s)c") == ("a]bc", (Span("s", 0, 3),))


@pytest.mark.parametrize(
    ("marked", "problem"),
    [
        ("a [b", "never closed"),
        ("a b](c)", "without its ["),
        ("a [b] c", "without its (slot)"),
        ("a [b](c", "without its (slot)"),
        ("a [b [c](d)](e)", "inside a mark"),
        ("[](day)", "'day' is empty"),
        ("[  ](day)", "'day' is empty"),
        ("[friday]()", "names no slot"),
    ],
)
def test_broken_marks(marked: str, problem: str) -> None:
    with pytest.raises(MarkError, match=re.escape(problem)) as raised:
        parse_marks(marked)
    assert raised.value.mend


@pytest.mark.parametrize(
    "spans",
    [
        (Span("a", 0, 3), Span("b", 2, 5)),
        (Span("a", 0, 3), Span("b", 0, 3)),
        (Span("a", 3, 3),),
        (Span("a", 4, 7),),
        (Span("a", -1, 2),),
    ],
)
def test_spans_that_marks_cannot_say(spans: tuple) -> None:
    with pytest.raises(ValueError, match="can't be marked"):
        write_marks("friday", spans)


@given(st.text(), st.sets(st.integers(0, 40)).map(sorted))
def test_what_is_written_is_read_back(text: str, cuts: list) -> None:
    ends = [cut for cut in cuts if cut <= len(text)]
    spans = tuple(
        Span("slot", start, end)
        for start, end in zip(ends[::2], ends[1::2])
        if text[start:end] == text[start:end].strip()
    )
    assert parse_marks(write_marks(text, spans)) == (text, spans)


@given(st.text(alphabet="ab []()\\"))
def test_any_text_is_read_or_refused(marked: str) -> None:
    try:
        text, spans = parse_marks(marked)
    except MarkError:
        return
    assert all(text[span.start : span.end].strip() for span in spans)
