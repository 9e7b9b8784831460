"""Result rows as a person writes them, who answers an API call by hand."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Sequence

from rasa_onramp.actions.calls import as_given
from rasa_onramp.errors import ActionFailed
from rasa_onramp.formats.wording import UNSTORABLE

__all__ = ["parse_rows"]

#: What a row or an answer in JSON begins with.
_JSON = ("[", "{")
_PAIR = re.compile(r"(?:^|,)\s*([\w-]+)\s*=")


def parse_rows(text: str, allowed: Sequence[str]) -> List[Dict[str, str]]:
    """Result rows, one a line as `slot=value, slot=value` (a value may hold commas) or in JSON, or
    an API's whole answer in JSON. Rows that say nothing are left out.

    Raises ValueError with a line for the user.
    """
    whole, lines = text.strip(), text.splitlines()
    if whole.startswith("[") or _is_object(whole):
        return _rows(whole, allowed)
    rows: List[Dict[str, str]] = []
    for number, line in enumerate(lines, start=1):
        try:
            rows += _rows(line.strip(), allowed) if line.strip() else []
        except ValueError as error:
            where = f"line {number}: " if len(lines) > 1 else ""
            raise ValueError(f"{where}{error}") from None
    return rows


def _rows(text: str, allowed: Sequence[str]) -> List[Dict[str, str]]:
    found = _from_json(text) if text.startswith(_JSON) else [_from_pairs(text)]
    rows = [_checked(row, allowed) for row in found]
    return [row for row in rows if row]


def _from_pairs(text: str) -> Dict[str, str]:
    found = list(_PAIR.finditer(text))
    if not found or found[0].start() > 0:
        raise ValueError("write a row as slot=value, slot=value")
    ends = [pair.start() for pair in found[1:]] + [len(text)]
    return {pair[1]: text[pair.end() : end].strip() for pair, end in zip(found, ends)}


def _is_object(text: str) -> bool:
    """Whether it is one JSON object, not several, one a line."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _from_json(text: str) -> Sequence[Dict[str, str]]:
    try:
        found: Any = json.loads(text)
        return as_given(found)
    except (ValueError, RecursionError, ActionFailed) as error:
        what = "array of objects" if text.strip().startswith("[") else "object of slot: value"
        raise ValueError(f"not a JSON {what} ({error})") from None


def _checked(row: Dict[str, str], allowed: Sequence[str]) -> Dict[str, str]:
    unknown = [name for name in row if name not in allowed]
    if unknown and not allowed:
        mend = f"list {unknown[0]!r} among the action's result_slots first"
        raise ValueError(f"the schema says that this call returns nothing; {mend}")
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no result of this call: {', '.join(allowed)}")
    if any(map(UNSTORABLE.search, row.values())):  # JSON can write them down
        raise ValueError("a NUL or half of a surrogate pair is in a value; remove it")
    return {name: value for name, value in row.items() if value}
