"""JSON that knows its lines: parse a text, and find the line that a value inside it is on.

Positions are looked up only once something is wrong, so reading stays as fast as the json module.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, List, Sequence, Tuple, Union

from rasa_onramp.errors import FormatError
from rasa_onramp.formats.source import line_at
from rasa_onramp.formats.wording import UNSTORABLE

__all__ = ["line_of", "parse_json", "parse_json_line"]

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")
_DOUBTFUL_ESCAPE = re.compile(r"\\u(0000|[dD][89a-fA-F])")


def parse_json(text: str, path: Path) -> Any:
    """The value that `text`, read from `path`, writes down. Raises FormatError."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(
            f"not valid JSON at column {error.colno}: {error.msg}",
            path=path,
            line=error.lineno,
            mend="correct it there",
        ) from error
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise FormatError(
            "JSON nested too deeply or with a number too long",
            path=path,
            mend="flatten it",
        ) from error
    if _DOUBTFUL_ESCAPE.search(text):
        _refuse_unstorable(value, text, path)
    return value


def parse_json_line(line: str, path: Path, number: int) -> Any:
    """Like `parse_json`, of line `number` of a file of JSON values, one a line."""
    try:
        return parse_json(line, path)
    except FormatError as error:
        if error.line is None:
            mend = "leave the line out or flatten it"
            raise FormatError(error.message, path=path, line=number, mend=mend) from error
        # says the same with the line's number
        return parse_json("\n" * (number - 1) + line, path)


def line_of(text: str, keys: Sequence[Union[str, int]]) -> int:
    """The line on which the value under `keys` starts, as far as the keys lead.

    `keys` go from the outside in: names in objects, positions in lists.
    """
    offset = _skip(text, 0)
    for key in keys:
        try:
            offset = _child(text, offset, key)
        except (KeyError, ValueError, RecursionError):
            break
    return line_at(text, offset)


def _child(text: str, offset: int, key: Union[str, int]) -> int:
    """The offset of the value under `key` in the object or list that starts at `offset`."""
    opening = text[offset]
    if opening not in "{[":
        raise KeyError(key)
    offset = _skip(text, offset + 1)
    found = None
    position = 0
    while text[offset] not in "}]":
        name: Union[str, int] = position
        if opening == "{":
            name, offset = _DECODER.raw_decode(text, offset)
            offset = _skip(text, _skip(text, offset) + 1)  # past the colon
        if name == key:
            found = offset
            if opening == "[":
                break
            # In an object the last of two equal keys counts, as in json.loads.
        _, offset = _DECODER.raw_decode(text, offset)
        offset = _skip(text, offset)
        if text[offset] == ",":
            offset = _skip(text, offset + 1)
        position += 1
    if found is None:
        raise KeyError(key)
    return found


def _skip(text: str, offset: int) -> int:
    blank = _BLANK.match(text, offset)
    return blank.end() if blank else offset


def _refuse_unstorable(value: Any, text: str, path: Path) -> None:
    pending: List[Tuple[Tuple[Union[str, int], ...], Any]] = [((), value)]
    while pending:
        keys, here = pending.pop()
        texts: List[str] = []
        if isinstance(here, str):
            texts = [here]
        elif isinstance(here, dict):
            texts = list(here)
            pending.extend(((*keys, key), item) for key, item in here.items())
        elif isinstance(here, list):
            pending.extend(((*keys, index), item) for index, item in enumerate(here))
        if any(UNSTORABLE.search(each) for each in texts):
            raise FormatError(
                "an escape that stands for no character of a text",
                path=path,
                line=line_of(text, keys),
                mend="write the character itself, in UTF-8",
            )
