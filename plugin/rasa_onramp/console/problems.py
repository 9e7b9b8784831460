"""What is wrong with a request, and what a request must hold."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Dict, Mapping, Optional

from rasa_onramp.formats.wording import UNSTORABLE

__all__ = ["Problem", "fields"]

_KINDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


class Problem(Exception):
    """A request that can't be served: one line that says why and what to do, and a `status`.

    `line` is where in an uploaded file it lies, where that is known.
    """

    def __init__(
        self,
        text: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        *,
        line: Optional[int] = None,
    ):
        super().__init__(text)
        self.status = status
        self.line = line


def fields(
    said: Any,
    required: Mapping[str, type],
    optional: Optional[Mapping[str, type]] = None,
    *,
    storable: bool = True,
) -> Dict[str, Any]:
    """What a request says, by key; None for `optional` keys that are missing or null.

    Raises Problem for anything but an object of these keys with values of these types; texts are to
    be `storable` unless the caller says better where they aren't.
    """
    kinds = {**required, **(optional or {})}
    if not isinstance(said, Mapping):
        raise Problem("the body isn't a JSON object; send one")
    for key in said:
        if key not in kinds:
            known = f"the keys are {', '.join(kinds)}" if kinds else "send none"
            raise Problem(f"there is no key {key!r}; {known}")
    for key, kind in kinds.items():
        value = said.get(key)
        if value is None and key in required:
            raise Problem(f"{key!r} is missing; give {_KINDS[kind]}")
        # a bool is an int to Python, and isn't one to people
        if value is not None and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        ):
            raise Problem(f"{key!r} isn't {_KINDS[kind]}; make it that")
        if kind is str and key in required and not str(value).strip():
            raise Problem(f"{key!r} is empty; fill it in")
        if storable and isinstance(value, str) and UNSTORABLE.search(value):
            raise Problem(f"{key!r} has a NUL or half of a surrogate pair in it; remove it")
    return {key: said.get(key) for key in kinds}
