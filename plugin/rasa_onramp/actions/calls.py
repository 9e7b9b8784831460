"""What an API call is, and the rows it answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from rasa_onramp.errors import ActionFailed
from rasa_onramp.rasa_names import KEY

__all__ = ["MAX_ROWS", "Call", "Row", "as_given", "as_rows", "readable"]

#: One result: a result slot's name → its value.
Row = Mapping[str, str]

#: Rows beyond this many are dropped: a reply names a few, and a tracker keeps them all.
MAX_ROWS = 50


@dataclass(frozen=True)
class Call:
    """An API call: action `name` of `domain` with `parameters` (slot → value).

    `url` is the HTTP endpoint from the domain's schema that answers it, if it has one. Whose call
    it is: the `conversation` (Rasa's sender id), its `channel`, and the message that asked for it,
    by Rasa's `message_id` and with the channel's `metadata`; None and empty outside Rasa.
    """

    domain: str
    name: str
    parameters: Mapping[str, str]
    url: Optional[str] = None
    conversation: Optional[str] = None
    channel: Optional[str] = None
    message_id: Optional[str] = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Dict[str, Any]:
        """As it travels in the `onramp` slot, which is the conversation's anyway."""
        return {
            "domain": self.domain,
            "name": self.name,
            "parameters": dict(self.parameters),
            "url": self.url,
        }

    @classmethod
    def from_json(cls, value: Any) -> Call:
        """The inverse of `to_json`. Raises ActionFailed if `value` isn't a call."""
        try:
            parameters = {str(k): str(v) for k, v in value["parameters"].items()}
            return cls(str(value["domain"]), str(value["name"]), parameters, value.get("url"))
        except (AttributeError, KeyError, TypeError):
            raise ActionFailed(
                f"the slot {KEY!r} holds no API call; let OnrampPolicy predict this action"
            ) from None


def as_rows(answer: Any) -> Tuple[Dict[str, str], ...]:
    """Rows from what a handler or an endpoint answered.

    Accepts a list of objects, one object, {"results": [...]}, or nothing. Values may be text,
    numbers or booleans, which become text as dialogues write them ("True", "4.5") and readable;
    nothings are left out, and rows of nothing else. Raises ActionFailed for anything else.
    """
    return tuple(
        {readable(slot): readable(text) for slot, text in row.items()} for row in as_given(answer)
    )


def as_given(answer: Any) -> Tuple[Dict[str, str], ...]:
    """`as_rows`, with texts that may hold halves of characters. Raises ActionFailed."""
    inside = answer.get("results", answer) if isinstance(answer, Mapping) else answer
    if inside is None or isinstance(inside, (list, tuple)):
        answer = inside
    if answer is None:
        return ()
    if isinstance(answer, Mapping):
        answer = [answer]
    if not isinstance(answer, (list, tuple)):
        raise ActionFailed(f"answered with {type(answer).__name__}; answer with a list of objects")
    rows = [_row(row) for row in answer[:MAX_ROWS]]
    return tuple(row for row in rows if row)


def readable(text: str) -> str:
    """The text, as long as it is, with "?" for halves of characters: JSON can hold half an emoji,
    which no tokenizer takes.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def _row(row: Any) -> Dict[str, str]:
    if not isinstance(row, Mapping):
        raise ActionFailed(f"a result is {type(row).__name__}; make it an object of slot: value")
    values = {}
    for name, value in row.items():
        if value is None:
            continue
        if not isinstance(value, (str, int, float)):
            kind = type(value).__name__
            raise ActionFailed(f"result {name!r} is {kind}; make it text, a number or a boolean")
        values[str(name)] = str(value)
    return values
