"""Checks of what JSON holds, in terms of where in it: `Misfit` carries keys, not lines."""

from __future__ import annotations

from typing import Any, Tuple, Union

__all__ = ["Keys", "Misfit", "get", "optional", "shape"]

#: The way to a value: names in objects and positions in lists, from the outside in.
Keys = Tuple[Union[str, int], ...]

_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    bool: "true or false",
}


class Misfit(Exception):
    """Something in a JSON file that doesn't fit; the reader of the file makes it a FormatError."""

    def __init__(self, message: str, mend: str, keys: Keys):
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.keys = keys


def shape(value: Any, kind: type, what: str, keys: Keys) -> Any:
    """`value`, if it is of the `kind`. Raises Misfit."""
    # A bool is an int to Python, but not to JSON.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Misfit(f"{what} must be {_NAMES[kind]}", f"write {_NAMES[kind]}", keys)
    return value


def get(raw: dict, key: str, kind: type, keys: Keys) -> Any:
    """What the object under `keys` holds as `key`, which must be of the `kind`. Raises Misfit."""
    if key not in raw:
        raise Misfit(f"no {key!r} here", f"add {key!r}, {_NAMES[kind]}", keys)
    value = raw[key]
    if type(value) is kind:  # most often, and cheap
        return value
    return shape(value, kind, repr(key), (*keys, key))


def optional(raw: dict, key: str, kind: type, keys: Keys = ()) -> Any:
    """As `get`; None where there is no such key, or it holds null. Raises Misfit."""
    return None if raw.get(key) is None else get(raw, key, kind, keys)
