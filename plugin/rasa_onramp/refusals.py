"""Requests over HTTP: what they must hold, and how one is refused that can't be served."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Dict, Mapping, Optional

from rasa_onramp.errors import (
    FormatError,
    NotFound,
    OnrampError,
    StoreBusy,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
)
from rasa_onramp.formats.wording import UNSTORABLE, quote

__all__ = ["Refused", "fields", "refusal_of", "without_place"]

_KINDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    object: "a value",
}

#: What is said of a store that can't be used, by what is wrong with it; the bot's log says where.
_UNAVAILABLE = {
    StoreBusy: "another process is writing to the store; try again when it is done",
    StoreReadOnly: "this bot may only read the store; see its log",
    StoreUnavailable: "the store can't be reached or used; try again later, or see the bot's log",
}

#: How an error names the store.
_PLACE = re.compile(r"\bthe (?:file or )?(?:store|database) at ")


class Refused(Exception):
    """A request that isn't served: one line that says why and what to do, and a `status`.

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


def refusal_of(error: OnrampError) -> Refused:
    """How a request is refused that failed with `error`. Where the store is, is told to nobody."""
    if isinstance(error, StoreUnavailable):
        problem = next((said for kind, said in _UNAVAILABLE.items() if isinstance(error, kind)))
        return Refused(problem, HTTPStatus.SERVICE_UNAVAILABLE)
    if isinstance(error, NotFound):
        return Refused(str(error), HTTPStatus.NOT_FOUND)
    if isinstance(error, StoreError) and _PLACE.search(str(error)):
        return Refused(_UNAVAILABLE[StoreUnavailable], HTTPStatus.SERVICE_UNAVAILABLE)
    asked = isinstance(error, (FormatError, StoreError))  # others are of the bot, whatever is asked
    return Refused(str(error), HTTPStatus.BAD_REQUEST if asked else HTTPStatus.SERVICE_UNAVAILABLE)


def without_place(problem: Optional[str], more: str) -> Optional[str]:
    """A problem that another process had, as who asks over HTTP may read it: one that says where
    the store is gives way to that there is one, and to where `more` of it is said.
    """
    if problem is None or not _PLACE.search(problem):
        return problem
    return f"the store can't be reached or used; {more}"


def fields(
    said: Any,
    required: Mapping[str, type],
    optional: Optional[Mapping[str, type]] = None,
    *,
    storable: bool = True,
) -> Dict[str, Any]:
    """What a request says, by key; None for `optional` keys that are missing or null.

    Raises Refused for anything but an object of these keys with values of these types; texts are to
    be `storable` unless the caller says better where they aren't.
    """
    kinds = {**required, **(optional or {})}
    if not isinstance(said, Mapping):
        raise Refused("the body isn't a JSON object; send one")
    for key in said:
        if key not in kinds:
            known = f"the keys are {', '.join(kinds)}" if kinds else "send none"
            raise Refused(f"there is no key {quote(key)}; {known}")
    for key, kind in kinds.items():
        value = said.get(key)
        if value is None and key in required:
            raise Refused(f"{key!r} is missing; give {_KINDS[kind]}")
        # a bool is an int to Python, and isn't one to people
        if value is not None and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is int)
        ):
            raise Refused(f"{key!r} isn't {_KINDS[kind]}; make it that")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise Refused(f"{key!r} is a number that no database holds; give a smaller one")
        if kind is str and key in required and not str(value).strip():
            raise Refused(f"{key!r} is empty; fill it in")
        if storable and isinstance(value, str) and UNSTORABLE.search(value):
            raise Refused(f"{key!r} has a NUL or half of a surrogate pair in it; remove it")
    return {key: said.get(key) for key in kinds}
