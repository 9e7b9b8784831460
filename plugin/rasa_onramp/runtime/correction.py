"""The state after a message, and as somebody says it should have been."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Mapping, Sequence, Tuple

from rasa_onramp.dialogue import State, Turn

__all__ = ["corrected", "state_after"]

_KEYS = ("values", "active_intent", "requested_slots")


def state_after(history: Sequence[Turn]) -> State:
    """The state after the last turn, a message. One that said nothing to the domain left the state
    as it was, and asked for nothing.
    """
    for turn in reversed(history):
        if turn.state is not None:
            return turn.state if turn is history[-1] else replace(turn.state, requested_slots=())
    return State()


def corrected(state: State, changes: Any) -> State:
    """`state` with `changes`, plain JSON with any of the keys

    - `values`: slot → its value, or equivalent values, the preferred one first; null for none;
    - `active_intent`: a name, or null;
    - `requested_slots`: a list of names.

    What isn't named stays. Raises ValueError saying what is wrong.
    """
    if not isinstance(changes, Mapping) or not changes or set(changes) - set(_KEYS):
        raise ValueError(f"isn't an object with some of the keys {', '.join(_KEYS)}")
    if "values" in changes:
        state = replace(state, values=_values(state.values, changes["values"]))
    if "active_intent" in changes:
        intent = changes["active_intent"]
        if not isinstance(intent, (str, type(None))):
            raise ValueError("has an active_intent that is neither text nor null")
        state = replace(state, active_intent=intent)
    if "requested_slots" in changes:
        slots = changes["requested_slots"]
        if not isinstance(slots, list) or not all(isinstance(slot, str) for slot in slots):
            raise ValueError("has requested_slots that aren't a list of texts")
        state = replace(state, requested_slots=tuple(slots))
    return state


def _values(before: Mapping[str, Tuple[str, ...]], given: Any) -> Dict[str, Tuple[str, ...]]:
    if not isinstance(given, Mapping):
        raise ValueError("has values that aren't an object of slots")
    values = dict(before)
    for slot, value in given.items():
        texts = [] if value is None else value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"has a value of {slot!r} that is neither text, nor texts, nor null")
        if texts:
            values[slot] = tuple(texts)
        else:
            values.pop(slot, None)
    return values
