"""Bounds on what small files can come to by naming long texts often."""

from __future__ import annotations

from rasa_onramp.formats.nodes import Mistake

__all__ = ["Room"]


class Room:
    """What texts may come to together: those of `what`, at `most` so many characters."""

    def __init__(self, what: str, most: int):
        self._what = what
        self._most = most
        self._taken = 0

    def take(self, length: int, line: int) -> None:
        """Count so many more characters. Raises Mistake where they are too many."""
        self._taken += length
        if self._taken > self._most:
            mend = f"keep to {self._most}: shorten texts and values, or read less at once"
            raise Mistake(f"{self._what} comes to {self._taken} characters", mend, line)
