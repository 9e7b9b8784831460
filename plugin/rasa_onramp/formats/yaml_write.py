"""Domains and dialogues as text in our YAML format: what changes in a turn, not the whole state."""

from __future__ import annotations

import io
import re
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from rasa_onramp.dialogue import Dialogue, Schema, Slot, Span, State, Turn
from rasa_onramp.formats.marks import write_marks
from rasa_onramp.formats.yaml_dialogues import listed_value
from rasa_onramp.formats.yaml_schema import NO_INTENT, VERSION
from rasa_onramp.yaml_edit import unescaped

__all__ = ["yaml_text"]

#: Texts that may go without quotes, unless ruamel.yaml sees a number or the like in them. It would
#: leave out more, but then writes what it can't read, such as `{place: :0}`.
_PLAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_ ,.'()/-]*[A-Za-z0-9_.)])?", re.ASCII)


def yaml_text(schema: Schema, dialogues: Iterable[Dialogue]) -> str:
    """A file in our YAML format. Raises ValueError where spans overlap or are out of bounds."""
    root = CommentedMap()
    root["onramp"] = _quoted(VERSION)
    root["domain"] = _schema(schema)
    slots = {slot.name: slot for slot in schema.slots}
    root["dialogues"] = [_dialogue(dialogue, slots) for dialogue in dialogues]
    root.yaml_set_comment_before_after_key("dialogues", before="\n")
    yaml: Any = YAML()
    yaml.width = 2**30  # an utterance stays on its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(root, stream)
    return unescaped(stream.getvalue())


def _schema(schema: Schema) -> Dict[str, Any]:
    slots = [
        _without_empty(name=slot.name, description=slot.description, values=_flow_list(slot.values))
        for slot in schema.slots
    ]
    intents = [
        _without_empty(
            name=intent.name,
            description=intent.description,
            required_slots=_flow_list(intent.required_slots),
            optional_slots=_flow_map(intent.optional_slots),
        )
        for intent in schema.intents
    ]
    actions = [
        _without_empty(
            name=action.name,
            description=action.description,
            required_slots=_flow_list(action.required_slots),
            optional_slots=_flow_list(action.optional_slots),
            result_slots=_flow_list(action.result_slots),
            url=action.url,
        )
        for action in schema.actions
    ]
    return _without_empty(
        name=schema.name,
        description=schema.description,
        slots=slots,
        intents=intents,
        actions=actions,
    )


def _dialogue(dialogue: Dialogue, slots: Mapping[str, Slot]) -> Dict[str, Any]:
    turns = []
    before = State()
    for turn in dialogue.turns:
        if not turn.is_user:
            turns.append(_system_turn(turn))
        elif turn.state is None:
            said = _quoted(write_marks(turn.text, turn.spans))
            turns.append(_without_empty(user=said, out_of_scope=True))
        else:
            turns.append(_user_turn(turn, turn.state, before, slots))
            before = turn.state
    return _without_empty(id=dialogue.id, split=dialogue.split, turns=turns)


def _user_turn(
    turn: Turn, after: State, before: State, slots: Mapping[str, Slot]
) -> Dict[str, Any]:
    implied = _implied(turn, slots)
    expected = {slot: implied.get(slot, before.values.get(slot)) for slot in after.values}
    stated = {
        slot: values[0] if len(values) == 1 else _flow_list(values)
        for slot, values in after.values.items()
        if values != expected[slot]
    }
    touched = dict.fromkeys([*before.values, *implied])
    changed_intent = after.active_intent != before.active_intent
    return _without_empty(
        user=_quoted(write_marks(turn.text, turn.spans)),
        intent=(after.active_intent or NO_INTENT) if changed_intent else None,
        requested=_flow_list(after.requested_slots),
        set=_flow_map(stated),
        clear=_flow_list([slot for slot in touched if slot not in after.values]),
    )


def _system_turn(turn: Turn) -> Dict[str, Any]:
    return _without_empty(
        system=_quoted(write_marks(turn.text, turn.spans)),
        action=turn.action,
        parameters=_flow_map(turn.parameters),
        results=[_flow_map(row) for row in turn.results],
    )


def _implied(turn: Turn, slots: Mapping[str, Slot]) -> Dict[str, Optional[Tuple[str, ...]]]:
    """What the marks of a turn set by themselves; None where a mark names no listed value."""
    implied: Dict[str, Optional[Tuple[str, ...]]] = {}
    for span in sorted(turn.spans, key=_place):
        if span.slot in slots:
            value = listed_value(turn.text[span.start : span.end], slots[span.slot])
            implied[span.slot] = None if value is None else (value,)
    return implied


def _place(span: Span) -> Tuple[int, int]:
    return span.start, span.end


def _without_empty(**fields: Any) -> Dict[str, Any]:
    """The fields that say something, in order."""
    made = CommentedMap()
    for key, value in fields.items():
        if value is not None and value != "" and value != [] and value != {}:
            made[key] = _scalar(value)
    return made


def _flow_list(values: Sequence[str]) -> CommentedSeq:
    made = CommentedSeq(_scalar(value) for value in values)
    made.fa.set_flow_style()
    return made


def _flow_map(values: Mapping[str, Any]) -> CommentedMap:
    made = CommentedMap({slot: _scalar(value) for slot, value in values.items()})
    made.fa.set_flow_style()
    return made


def _scalar(value: Any) -> Any:
    """A text with quotes where it needs them; anything else as it is."""
    if type(value) is not str or _PLAIN.fullmatch(value):
        return value
    return _quoted(value)


def _quoted(value: str) -> DoubleQuotedScalarString:
    return DoubleQuotedScalarString(value)
