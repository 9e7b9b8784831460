"""What rasa-onramp's own components leave on the events of a bot that has them: under the key
`onramp` of a message's `parse_data`, and of a reply's metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from rasa_onramp.dialogue import Schema, Span
from rasa_onramp.formats.shape import get, optional, shape
from rasa_onramp.rasa_names import KEY

__all__ = ["Replied", "Understood", "replied_in", "understood_in"]


@dataclass(frozen=True)
class Understood:
    """The state after a message, as the bot tracked it. None of `values` if the message says
    nothing to the domain.
    """

    values: Optional[Mapping[str, Any]] = None
    intent: Optional[str] = None
    requested: Tuple[str, ...] = ()
    spans: Tuple[Span, ...] = ()


@dataclass(frozen=True)
class Replied:
    """The call that a reply was made from, and the values that it states."""

    action: Optional[str]
    parameters: Mapping[str, Any]
    results: Tuple[Mapping[str, Any], ...]
    spans: Tuple[Span, ...]


def understood_in(payload: Any, schema: Schema) -> Optional[Understood]:
    """What a message's payload says of `schema`'s domain; None where there is no payload, or one
    that doesn't judge that domain: it may have been imported since. Raises Misfit.
    """
    if payload is None:
        return None
    raw = shape(payload, dict, f"{KEY!r}", ())
    if raw.get("domain") is None:
        compared = optional(raw, "scores", dict) or {}  # the five best of many; none in a form
        talked_about = optional(raw, "states", dict) or {}
        if schema.name not in {*compared, *talked_about}:
            return None  # what the bot itself made of it holds
    if raw.get("domain") != schema.name or raw.get("in_scope") is False:
        return Understood()
    state = get(raw, "state", dict, ())
    names = {slot.name for slot in schema.slots}
    intents = {intent.name for intent in schema.intents}
    # names that the schema doesn't have any more are passed over
    values = {
        slot: texts
        for slot, texts in get(state, "values", dict, ()).items()
        if slot in schema.tracked_slots and shape(texts, list, "a slot's values", ())
    }
    intent = optional(state, "active_intent", str)
    asked = optional(state, "requested_slots", list) or ()
    requested = tuple(slot for slot in asked if shape(slot, str, "a slot", ()) in names)
    return Understood(values, intent if intent in intents else None, requested, _spans(raw, schema))


def replied_in(metadata: Any, schema: Schema) -> Optional[Replied]:
    """What a reply's metadata says, if it is one of `schema`'s domain. Raises Misfit."""
    raw = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(raw, dict) or raw.get("domain") != schema.name:
        return None
    actions = {action.name for action in schema.actions}
    action = optional(raw, "action", str)
    if action not in actions:
        return Replied(None, {}, (), _spans(raw, schema))
    results = optional(raw, "results", list) or ()
    return Replied(
        action,
        optional(raw, "parameters", dict) or {},
        tuple(shape(row, dict, "a result", ()) for row in results),
        _spans(raw, schema),
    )


def _spans(raw: Dict[str, Any], schema: Schema) -> Tuple[Span, ...]:
    names = {slot.name for slot in schema.slots}
    found: List[Span] = []
    for item in optional(raw, "spans", list) or ():
        slot, start, end = item if isinstance(item, list) and len(item) == 3 else (None, 0, 0)
        if isinstance(slot, str) and isinstance(start, int) and isinstance(end, int):
            found += [Span(slot, start, end)] if slot in names else []
    return tuple(found)
