"""What a token of the prompt is, and what is known of a slot that a query asks about."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Flag", "Role"]


class Role(IntEnum):
    """What a token is; pointers and masks are decided by it."""

    PAD = 0
    SCHEMA = 1
    NONE = 2
    ANY = 3
    CLEAR = 4
    VALUE = 5
    INTENT = 6
    ACTION = 7
    TEXT = 8
    SPEAKER = 9
    QUERY_FREE = 10
    QUERY_LISTED = 11
    QUERY_INTENT = 12
    QUERY_ACTION = 13


class Flag(IntEnum):
    """What is known of a slot before the turn; added to its query."""

    EMPTY = 0
    FILLED = 1
    ANY = 2
