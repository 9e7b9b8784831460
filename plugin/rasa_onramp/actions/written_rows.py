"""Result rows as a person writes them, who answers an API call by hand."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Sequence

from rasa_onramp.actions.calls import ActionFailed, as_rows
from rasa_onramp.formats.wording import UNSTORABLE

__all__ = ["parse_row", "parse_rows"]

_PAIR = re.compile(r"(?:^|,)\s*([\w-]+)\s*=")


def parse_rows(text: str, allowed: Sequence[str]) -> List[Dict[str, str]]:
    """Result rows, one a line as `parse_row` reads it, or all of them as a JSON array.

    Raises ValueError with a line for the user.
    """
    if text.strip().startswith("["):
        return [_checked(row, allowed) for row in _from_json(text)]
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            if line.strip():
                rows.append(parse_row(line, allowed))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return rows


def parse_row(text: str, allowed: Sequence[str]) -> Dict[str, str]:
    """A result row from `slot=value, slot=value` (a value may hold commas) or a JSON object.

    Raises ValueError with a line for the user.
    """
    text = text.strip()
    if text.startswith("{"):
        rows = _from_json(text)
        return _checked(rows[0] if rows else {}, allowed)
    found = list(_PAIR.finditer(text))
    if not found or found[0].start() > 0:
        raise ValueError("write a row as slot=value, slot=value")
    ends = [pair.start() for pair in found[1:]] + [len(text)]
    row = {pair[1]: text[pair.end() : end].strip() for pair, end in zip(found, ends)}
    return _checked(row, allowed)


def _from_json(text: str) -> Sequence[Dict[str, str]]:
    try:
        found: Any = json.loads(text)
        return as_rows(found)
    except (ValueError, RecursionError, ActionFailed) as error:
        what = "array of objects" if text.strip().startswith("[") else "object of slot: value"
        raise ValueError(f"not a JSON {what} ({error})") from None


def _checked(row: Dict[str, str], allowed: Sequence[str]) -> Dict[str, str]:
    unknown = [name for name in row if name not in allowed]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no result of this call: {', '.join(allowed)}")
    if any(map(UNSTORABLE.search, row.values())):  # JSON can write them down
        raise ValueError("a NUL or half of a surrogate pair is in a value; remove it")
    return {name: value for name, value in row.items() if value}
