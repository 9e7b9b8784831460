"""Frames in SGD's format: what one turn says to one service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Mapping, Tuple

from rasa_onramp.dialogue import DONTCARE, Schema, Slot, Span, State, Turn
from rasa_onramp.formats.shape import Keys, Misfit, get, shape
from rasa_onramp.formats.wording import did_you_mean, quote

__all__ = ["Service", "read_turn"]


@dataclass(frozen=True)
class Service:
    """A schema, with what is looked up by name at every turn."""

    schema: Schema
    slots: Mapping[str, Slot]
    intents: FrozenSet[str]
    tracked: FrozenSet[str]

    @classmethod
    def of(cls, schema: Schema) -> Service:
        """The lookups of `schema`."""
        slots = {slot.name: slot for slot in schema.slots}
        intents = frozenset(intent.name for intent in schema.intents)
        return cls(schema, slots, intents, schema.tracked_slots)


def read_turn(speaker: str, text: str, frame: Dict[str, Any], keys: Keys, service: Service) -> Turn:
    """The turn as `service` sees it; `frame` is empty where it has none. Raises Misfit."""
    spans = _spans(frame.get("slots", []), text, (*keys, "slots"), service)
    if speaker == "user":
        state = None
        if "state" in frame:
            state = _state(get(frame, "state", dict, keys), (*keys, "state"), service)
        return Turn(speaker=speaker, text=text, state=state, spans=spans)
    action = None
    parameters: Mapping[str, str] = {}
    results: List[Mapping[str, str]] = []
    if "service_call" in frame:
        call = get(frame, "service_call", dict, keys)
        at = (*keys, "service_call")
        action = get(call, "method", str, at)
        _check_intent(action, service, (*at, "method"))
        given = get(call, "parameters", dict, at)
        parameters = _row(given, (*at, "parameters"), service)
    if frame.get("service_results") and action is None:
        mend = "name the call that they answer, or leave them out"
        raise Misfit("'service_results' without a 'service_call'", mend, (*keys, "service_results"))
    if "service_results" in frame:
        for index, row in enumerate(get(frame, "service_results", list, keys)):
            at = (*keys, "service_results", index)
            results.append(_row(shape(row, dict, "a result", at), at, service))
    return Turn(
        speaker=speaker,
        text=text,
        action=action,
        parameters=parameters,
        results=tuple(results),
        spans=spans,
    )


def _state(raw: Dict[str, Any], keys: Keys, service: Service) -> State:
    values: Dict[str, Tuple[str, ...]] = {}
    for name, spellings in get(raw, "slot_values", dict, keys).items():
        at = (*keys, "slot_values", name)
        slot = _slot(name, service, at)
        if name not in service.tracked:
            mend = "name it among an intent's required_slots or optional_slots, or leave it out"
            raise Misfit(f"{quote(name)} is in no intent, so no state can hold it", mend, at)
        if not isinstance(spellings, list) or not spellings:
            mend = "write a list of one or more, or leave the slot out"
            raise Misfit(f"slot {quote(name)} has no values", mend, at)
        for index, value in enumerate(spellings):
            if not isinstance(value, str) or not value.strip():
                raise _no_value(value, name, (*at, index))
            if slot.values and value not in slot.values and value != DONTCARE:
                mend = did_you_mean(value, slot.values, "it in schema.json")
                message = f"{quote(value)} is not among the values listed for {quote(name)}"
                raise Misfit(message, mend, (*at, index))
        values[name] = tuple(spellings)
    intent = get(raw, "active_intent", str, keys)
    if intent == "NONE":
        intent = None
    else:
        _check_intent(intent, service, (*keys, "active_intent"))
    requested = get(raw, "requested_slots", list, keys)
    for index, name in enumerate(requested):
        _slot(name, service, (*keys, "requested_slots", index))
    return State(values, intent, tuple(dict.fromkeys(requested)))


def _row(raw: Dict[str, Any], keys: Keys, service: Service) -> Mapping[str, str]:
    """A call's parameters or one of its results: the bulk of a file, so no more than checks."""
    for name, value in raw.items():
        if name not in service.slots:
            _slot(name, service, (*keys, name))
        if not isinstance(value, str):
            raise _no_value(value, name, (*keys, name))
    return raw


def _spans(raw: Any, text: str, keys: Keys, service: Service) -> Tuple[Span, ...]:
    made = []
    for index, item in enumerate(shape(raw, list, "'slots'", keys)):
        at = (*keys, index)
        name = get(shape(item, dict, "a span", at), "slot", str, at)
        _slot(name, service, (*at, "slot"))
        if "start" not in item:  # a value copied from another slot: MultiWOZ 2.2 has such
            continue
        start, end = get(item, "start", int, at), get(item, "exclusive_end", int, at)
        if not 0 <= start < end <= len(text):
            message = f"the span {start}-{end} of {quote(name)} is outside the utterance"
            raise Misfit(message, f"keep it within 0-{len(text)}", at)
        made.append(Span(name, start, end))
    return tuple(made)


def _slot(name: Any, service: Service, keys: Keys) -> Slot:
    slot = service.slots.get(name) if isinstance(name, str) else None
    if slot is None:
        mend = did_you_mean(str(name), service.slots, "it in schema.json")
        raise Misfit(f"{service.schema.name} has no slot {quote(name)}", mend, keys)
    return slot


def _check_intent(name: str, service: Service, keys: Keys) -> None:
    if name not in service.intents:
        names = [intent.name for intent in service.schema.intents]
        mend = did_you_mean(name, names, "it in schema.json")
        raise Misfit(f"{service.schema.name} has no intent {quote(name)}", mend, keys)


def _no_value(value: Any, name: str, keys: Keys) -> Misfit:
    message = f"{quote(value)} is no value for {quote(name)}"
    return Misfit(message, "write a text that isn't empty, or leave it out", keys)
