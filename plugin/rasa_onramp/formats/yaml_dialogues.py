"""The `dialogues` part of our YAML format. The state adds up from turn to turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import AbstractSet, Dict, List, Mapping, Optional, Set, Tuple

from rasa_onramp.dialogue import SPLITS, Dialogue, Schema, Slot, Span, State, Turn
from rasa_onramp.formats.marks import MarkError, parse_marks
from rasa_onramp.formats.nodes import Fields, Items, Mistake, Node, Text
from rasa_onramp.formats.wording import did_you_mean, quote
from rasa_onramp.formats.yaml_fields import fields, items, known, names, text
from rasa_onramp.formats.yaml_schema import NO_INTENT, slot_value

__all__ = ["listed_value", "read_dialogue"]


_USER_KEYS = ("user", "intent", "requested", "set", "clear", "out_of_scope")
_SYSTEM_KEYS = ("system", "action", "parameters", "results")


@dataclass
class _Reading:
    """The schema by name, and the state so far in the dialogue that is being read."""

    slots: Dict[str, Slot]
    intents: Set[str]
    actions: Set[str]
    tracked: AbstractSet[str]
    values: Dict[str, Tuple[str, ...]] = field(default_factory=dict)
    intent: Optional[str] = None


def read_dialogue(node: Node, schema: Schema, taken: Dict[str, int]) -> Dialogue:
    """One dialogue. `taken` gives the line of each id so far. Raises Mistake."""
    dialogue = fields(node, "a dialogue", ("id", "split", "turns"), required=("id", "turns"))
    name = text(dialogue.values["id"], "a dialogue's id")
    if name in taken:
        message = f"a second dialogue has the id {quote(name)} (first on line {taken[name]})"
        raise Mistake(message, "give each dialogue its own", dialogue.lines["id"])
    taken[name] = dialogue.lines["id"]
    split = None
    if "split" in dialogue.values:
        split = text(dialogue.values["split"], "the split")
        if split not in SPLITS:
            mend = did_you_mean(split, SPLITS, "it")
            raise Mistake(f"unknown split {quote(split)}", mend, dialogue.lines["split"])
    reading = _Reading(
        slots={slot.name: slot for slot in schema.slots},
        intents={intent.name for intent in schema.intents},
        actions={action.name for action in schema.actions},
        tracked=schema.tracked_slots,
    )
    turns: List[Turn] = []
    for item in items(dialogue, "turns"):
        turn = _turn(item, reading)
        if not turns and not turn.is_user:
            raise Mistake("the first turn is the system's", "start with a user turn", item.line)
        if turns and turns[-1].is_user and turn.is_user:
            mend = "join them, or put a system turn between them"
            raise Mistake("two user turns in a row", mend, item.line)
        turns.append(turn)
    if not turns:
        message = f"dialogue {quote(name)} has no turns"
        raise Mistake(message, "add some or take it out", dialogue.lines["turns"])
    return Dialogue(id=name, domain=schema.name, turns=tuple(turns), split=split)


def listed_value(marked: str, slot: Slot) -> Optional[str]:
    """The value of `slot` that the text of a mark stands for; None if it lists no such value.

    Case and runs of spaces don't count in finding a listed value.
    """
    if not slot.values:
        return marked
    folded = " ".join(marked.split()).casefold()
    if marked in slot.values:
        return marked
    fitting = [value for value in slot.values if " ".join(value.split()).casefold() == folded]
    return fitting[0] if fitting else None


def _turn(node: Node, reading: _Reading) -> Turn:
    if not isinstance(node, Fields) or ("user" in node.values) == ("system" in node.values):
        mend = 'start it with - user: "..." or - system: "..."'
        raise Mistake("a turn is neither the user's nor the system's", mend, node.line)
    if "user" in node.values:
        turn = fields(node, "a user turn", _USER_KEYS)
        return _user_turn(turn, reading)
    turn = fields(node, "a system turn", _SYSTEM_KEYS)
    return _system_turn(turn, reading)


def _user_turn(turn: Fields, reading: _Reading) -> Turn:
    said, spans = _marked(turn.values["user"], reading)
    if _out_of_scope(turn, spans):
        return Turn(speaker="user", text=said)
    cleared = names(turn, "clear", reading.slots, "slot")
    stated = _set(turn, reading)
    marked = {span.slot: span for span in spans}  # the last mark of a slot counts
    for slot in (*stated, *marked):
        if slot not in reading.tracked:
            message = f"{quote(slot)} is in no intent, so no state can hold it"
            mend = (
                "name it among an intent's required_slots or optional_slots, or leave it unmarked"
            )
            raise Mistake(message, mend, turn.lines["set" if slot in stated else "user"])
    for slot in cleared:
        if slot in stated:
            mend = "do one or the other"
            raise Mistake(f"{quote(slot)} is both set and cleared", mend, turn.lines["clear"])
        if slot not in reading.values and slot not in marked:
            message = f"{quote(slot)} has no value to clear"
            raise Mistake(message, "take it out of `clear`", turn.lines["clear"])
    values = {slot: old for slot, old in reading.values.items() if slot not in cleared}
    for slot, span in marked.items():
        if slot in stated or slot in cleared:
            continue
        inside = said[span.start : span.end]
        value = listed_value(inside, reading.slots[slot])
        if value is None:
            message = f"{quote(inside)} is not among the values listed for {quote(slot)}"
            mend = f"say which one it means: set: {{{slot}: ...}}"
            raise Mistake(message, mend, turn.lines["user"])
        values[slot] = (value,)
    values.update(stated)
    reading.values = values
    if "intent" in turn.values:
        node = turn.values["intent"]
        is_none = isinstance(node, Text) and node.value == NO_INTENT
        reading.intent = None if is_none else known(node, reading.intents, "intent")
    requested = names(turn, "requested", reading.slots, "slot")
    state = State(values=values, active_intent=reading.intent, requested_slots=requested)
    return Turn(speaker="user", text=said, state=state, spans=spans)


def _out_of_scope(turn: Fields, spans: Tuple[Span, ...]) -> bool:
    if "out_of_scope" not in turn.values:
        return False
    answer = text(turn.values["out_of_scope"], "`out_of_scope`")
    if answer not in ("true", "false"):
        mend = "write true or false"
        raise Mistake(f"{quote(answer)} is no answer", mend, turn.lines["out_of_scope"])
    if answer == "true" and (spans or len(turn.values) > 2):
        message = "an out-of-scope turn says nothing about the domain, but this one does"
        mend = "take out its marks and other keys, or `out_of_scope`"
        raise Mistake(message, mend, turn.lines["out_of_scope"])
    return answer == "true"


def _set(turn: Fields, reading: _Reading) -> Dict[str, Tuple[str, ...]]:
    stated: Dict[str, Tuple[str, ...]] = {}
    for name, node in _mapping(turn, "set").items():
        slot = reading.slots[known(Text(name, node.line), reading.slots, "slot")]
        if isinstance(node, Items):
            spellings = tuple(slot_value(item, slot) for item in node.items)
            if not spellings:
                mend = "give one, or clear the slot"
                raise Mistake(f"{quote(name)} is set to nothing", mend, node.line)
        else:
            spellings = (slot_value(node, slot),)
        stated[name] = spellings
    return stated


def _system_turn(turn: Fields, reading: _Reading) -> Turn:
    said, spans = _marked(turn.values["system"], reading)
    action = None
    if "action" in turn.values:
        action = known(turn.values["action"], reading.actions, "action")
    for key in ("parameters", "results"):
        if action is None and key in turn.values:
            message = f"{quote(key)} without an action"
            raise Mistake(message, "name the action that was called", turn.lines[key])
    parameters = _row(_mapping(turn, "parameters"), reading)
    results: List[Mapping[str, str]] = []
    for item in items(turn, "results"):
        if not isinstance(item, Fields):
            raise Mistake("a result must be a mapping", "write {slot: value}", item.line)
        results.append(_row(item.values, reading))
    return Turn(
        speaker="system",
        text=said,
        action=action,
        parameters=parameters,
        results=tuple(results),
        spans=spans,
    )


def _row(row: Mapping[str, Node], reading: _Reading) -> Dict[str, str]:
    return {
        name: slot_value(node, reading.slots[known(Text(name, node.line), reading.slots, "slot")])
        for name, node in row.items()
    }


def _mapping(turn: Fields, key: str) -> Mapping[str, Node]:
    node = turn.values.get(key)
    if node is None:
        return {}
    if not isinstance(node, Fields):
        raise Mistake(f"{quote(key)} must be a mapping", "write {slot: value}", node.line)
    return node.values


def _marked(node: Node, reading: _Reading) -> Tuple[str, Tuple[Span, ...]]:
    marked = text(node, "a turn's text", "write what was said")
    try:
        said, spans = parse_marks(marked)
    except MarkError as error:
        raise Mistake(f"{error} in {quote(marked)}", error.mend, node.line) from error
    for span in spans:
        known(Text(span.slot, node.line), reading.slots, "slot")
    return said, spans
