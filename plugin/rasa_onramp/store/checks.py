"""What the store refuses to hold."""

from __future__ import annotations

import json
import re
from typing import Any, Collection, Iterable, Iterator, Mapping, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import DONTCARE, SPLITS, Dialogue, Schema, State, Turn
from rasa_onramp.errors import StoreError
from rasa_onramp.store.serialise import dialogue_to_json, schema_to_json

__all__ = [
    "SPEAKERS",
    "check_dialogue",
    "check_schemas",
    "check_state",
    "check_text",
    "conflict",
]

SPEAKERS = ("user", "system")

#: Bytes of a name or id, at most: PostgreSQL's keys hold 2,704, and some are of a name and an id.
_LONGEST = 1000

_encode = json.JSONEncoder(ensure_ascii=False).encode
#: NUL as JSON writes it, unless its backslash is itself written with a backslash.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def check_schemas(schemas: Iterable[Schema]) -> Tuple[Schema, ...]:
    """`schemas`. Raises StoreError for what would not fit the tables: a name used twice or too
    long, text that databases can't hold.
    """
    given = tuple(schemas)
    names: Set[str] = set()
    for schema in given:
        if schema.name in names:
            raise StoreError(f"two schemas are called {schema.name!r}; rename one of them")
        names.add(schema.name)
        _check_length(schema.name, f"the domain name {schema.name[:40]!r}…")
        check_text(schema_to_json(schema), f"the schema of domain {schema.name!r}")
    return given


def check_dialogue(
    dialogue: Dialogue, domains: Collection[str], seen: Set[Tuple[str, str]]
) -> None:
    """Raise StoreError for what would not fit the tables: a dialogue of none of `domains`, an id
    that is too long or that its domain has `seen`, a split or speaker that there isn't, text that
    databases can't hold.

    That dialogues follow their schema is for formats/ to see to.
    """
    _check_length(dialogue.id, f"the dialogue id {dialogue.id[:40]!r}…")
    where = f"dialogue {dialogue.id!r} of domain {dialogue.domain!r}"
    if dialogue.domain not in domains:
        raise StoreError(f"{where} comes without its schema; import them together")
    if (dialogue.domain, dialogue.id) in seen:
        raise StoreError(
            f"{where} comes twice; give each dialogue an id of its own "
            "(import tracker stores one by one, each with a --prefix)"
        )
    seen.add((dialogue.domain, dialogue.id))
    if dialogue.split not in (None, *SPLITS):
        raise StoreError(f"{where} is of split {dialogue.split!r}; name one of {SPLITS}")
    for turn in dialogue.turns:
        if turn.speaker not in SPEAKERS:
            raise StoreError(f"{where} has speaker {turn.speaker!r}; name one of {SPEAKERS}")
    check_text(dialogue_to_json(dialogue), where)


def check_state(state: State, schema: Schema, where: str, *, values: bool = True) -> None:
    """Raise StoreError for a state that the schema doesn't have; `where` says whose state it is.

    Without `values`, only its slots and its intent count: dialogues may hold values that no schema
    ever listed.
    """
    slots = {slot.name: slot for slot in schema.slots if slot.name in schema.tracked_slots}
    for name, told in state.values.items():
        if name not in slots:
            raise StoreError(f"{where} has a slot {name!r}; it may have {', '.join(slots)}")
        listed = slots[name].values
        for value in told if values else ():
            if not value.strip() or (listed and value not in (*listed, DONTCARE)):
                wanted = f"one of {', '.join(listed)}, or {DONTCARE}" if listed else "a text"
                raise StoreError(f"{where} has {value!r} for slot {name!r}; give {wanted}")
    intents = [intent.name for intent in schema.intents]
    if state.active_intent not in (None, *intents):
        raise StoreError(
            f"{where} has the intent {state.active_intent!r}; name one of {', '.join(intents)}"
        )
    known = {slot.name for slot in schema.slots}
    for name in state.requested_slots:
        if name not in known:
            raise StoreError(f"{where} asks for a slot {name!r}; it may ask for {', '.join(known)}")


def conflict(
    old: Schema, new: Schema, dialogues: Iterable[Dialogue], corrections: Iterable[Dialogue] = ()
) -> None:
    """Raise StoreError if a dialogue, or one of the `corrections` that feedback makes, uses
    something of the `old` schema that the `new` one lacks.

    Only what the change took away counts: dialogues may hold values that no schema ever listed, and
    a slot that lists none any more takes any. One that comes to list some takes no others.
    """
    before = {slot.name for slot in old.slots if not slot.values}
    listed = {slot.name: slot.values for slot in new.slots if slot.values and slot.name in before}
    free = {slot.name for slot in new.slots if not slot.values}
    gone = {
        (kind, name, value)
        for kind, name, value in set(_names(old)).difference(_names(new))
        if value is None or name not in free
    }
    if not gone and not listed:
        return
    mend = (
        "import a version of the dialogue without it (--replace-labelled where people labelled "
        f"it), or `rasa-onramp remove {new.name} --dialogue ID`"
    )
    feedback = f"or take the feedback back (`rasa-onramp feedback remove {new.name} ID`)"
    for some, way_out in ((dialogues, mend), (corrections, feedback)):
        for dialogue in some:
            for place, turn in enumerate(dialogue.turns, start=1):
                used = gone.intersection(_used(turn)).union(_unlisted(turn, listed))
                if used:
                    raise StoreError(
                        f"the new schema of domain {new.name!r} lacks the "
                        f"{_told(min(used, key=str))}, which the store's dialogue {dialogue.id!r} "
                        f"uses in turn {place}; keep it in the schema, {way_out}"
                    )


_Name = Tuple[str, str, Optional[str]]  # kind, name, value of a slot


def _told(name: _Name) -> str:
    kind, called, value = name
    if kind == "tracked slot":
        return f"slot {called!r} among its intents' slots"
    return f"{kind} {called!r}" if value is None else f"value {value!r} of slot {called!r}"


def _names(schema: Schema) -> Iterator[_Name]:
    for name in schema.tracked_slots:
        yield "tracked slot", name, None
    for slot in schema.slots:
        yield "slot", slot.name, None
        for value in slot.values:
            yield "slot", slot.name, value
    for intent in schema.intents:
        yield "intent", intent.name, None
    for action in schema.actions:
        yield "action", action.name, None


def _used(turn: Any) -> Iterator[_Name]:
    if turn.state is not None:
        for slot, values in turn.state.values.items():
            yield "slot", slot, None
            yield "tracked slot", slot, None
            for value in values:
                yield "slot", slot, value
        for slot in turn.state.requested_slots:
            yield "slot", slot, None
        if turn.state.active_intent is not None:
            yield "intent", turn.state.active_intent, None
    for span in turn.spans:
        yield "slot", span.slot, None
    for row in (turn.parameters, *turn.results):
        for slot in row:
            yield "slot", slot, None
    if turn.action is not None:
        yield "action", turn.action, None


def _unlisted(turn: Turn, listed: Mapping[str, Sequence[str]]) -> Iterator[_Name]:
    """The values in a turn's state that slots which came to list some don't list."""
    for slot, values in turn.state.values.items() if turn.state is not None else ():
        known = {value.lower() for value in (*listed.get(slot, ()), DONTCARE)}
        if slot in listed and known.isdisjoint(value.lower() for value in values):
            yield from (("slot", slot, value) for value in values)


def _check_length(name: str, what: str) -> None:
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > _LONGEST:
        raise StoreError(f"{what} has {size} bytes; shorten it to {_LONGEST}")


def check_text(value: Any, where: str) -> None:
    """Raise StoreError for characters that databases can't hold in JSON value `where`."""
    # All the text of the value in one go: walking through it takes longer than the import.
    text = _encode(value)
    if _NUL.search(text):
        raise StoreError(f"{where} has a NUL character in its text; remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise StoreError(
            f"{where} has half of a surrogate pair (\\ud800-\\udfff) in its text; remove it"
        ) from None
