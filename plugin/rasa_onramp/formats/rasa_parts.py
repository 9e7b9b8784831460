"""The small parts of Rasa's events and stories: entities, buttons, and values of slots."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional, Union

from rasa_onramp.formats.shape import Misfit
from rasa_onramp.formats.wording import quote

__all__ = ["Button", "Entity", "value_text"]


@dataclass(frozen=True)
class Entity:
    """An entity as Rasa has it; `start` is None where it isn't in the text's own words."""

    name: str
    value: Any
    start: Optional[int] = None
    end: Optional[int] = None
    role: Optional[str] = None


@dataclass(frozen=True)
class Button:
    """What a bot offers to press: what it says, and what it sends."""

    title: str
    payload: str


def value_text(value: Any, name: str) -> Optional[str]:
    """A slot's value in Rasa as the text of ours; None if it is empty. Raises Misfit."""
    if value is None:
        return None
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        try:
            return _written(value)
        except ValueError:
            mend = "leave the slot out of the schema"
            raise Misfit(f"slot {quote(name)} is set to a number too large", mend, ()) from None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
        texts = [value_text(item, name) for item in value]
        return ", ".join(text for text in texts if text) or None
    message = f"slot {quote(name)} is set to {quote(value)}, which no text stands for"
    raise Misfit(message, "leave the slot out of the schema", ())


def _written(number: Union[int, float]) -> str:
    """All digits of a whole number, as far as a float holds them exactly. Raises ValueError."""
    if isinstance(number, float) and not (number.is_integer() and abs(number) < 2**53):
        return f"{number:.15g}"
    return str(int(number))  # Python writes out 4300 digits at most
