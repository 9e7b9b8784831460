"""Chat logs: one JSON object a line, one utterance each. docs/formats.md lists the columns.

    {"conversation": "c1", "speaker": "user", "text": "where is RX48?", "time": 1700000000}
    {"conversation": "c1", "speaker": "system", "text": "In transit.", "action": "find_parcel"}

Columns that aren't listed are left alone: logs have many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from rasa_onramp.dialogue import DONTCARE, SPLITS, Corpus, Dialogue, Schema, Slot, Span, State, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import parse_json_line
from rasa_onramp.formats.marks import trimmed
from rasa_onramp.formats.shape import Misfit, get, optional, shape
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.utterances import as_turns
from rasa_onramp.formats.wording import did_you_mean, quote
from rasa_onramp.formats.yaml_schema import NO_INTENT

__all__ = ["LIMIT", "read_jsonl"]

#: The most bytes a file may hold, unpacked.
LIMIT = 256 * 2**20

#: Who speaks, by what logs call them.
_SPEAKERS = {"user": "user", "system": "system", "bot": "system"}
#: Columns that say something of the state; a conversation where all are empty is unlabelled.
_STATE = ("state", "slots", "intent", "requested")
_CALL = ("parameters", "results")

#: A value that is marked as in YAML.
_MARK = re.compile(r"\[[^\[\]]+\]\(([^()\[\]]+)\)")

#: The end of a time: a fraction of a second, and an offset.
_TIMES_END = re.compile(r"(:\d\d)(?:[.,](\d+))?(?:([+-]\d\d):?(\d\d)?)?\Z", re.ASCII)


@dataclass(frozen=True)
class _Line:
    number: int
    time: Optional[float]
    split: Optional[str]
    raw: Dict[str, Any]


@dataclass
class _Conversation:
    """What a conversation's lines add up to."""

    schema: Schema
    slots: Mapping[str, Slot]
    labelled: bool
    values: Dict[str, Tuple[str, ...]] = field(default_factory=dict)
    intent: Optional[str] = None


def read_jsonl(path: Union[str, Path], schema: Schema) -> Corpus:
    """The conversations of a chat log as dialogues of `schema`'s domain, in the order in which they
    begin. Empty lines don't count. Raises FormatError.
    """
    path = Path(path)
    conversations: Dict[str, List[_Line]] = {}
    for number, text in enumerate(read_text(path, LIMIT).split("\n"), start=1):
        if text.strip():
            with _at(path, number):
                raw = shape(parse_json_line(text, path, number), dict, "a line", ())
                name, line = _line(raw, number)
                conversations.setdefault(name, []).append(line)
    dialogues = []
    for name, lines in conversations.items():
        turns = _turns(_ordered(lines, path), schema, path)
        if turns:
            dialogues.append(Dialogue(name, schema.name, turns, _split(lines, path)))
    return Corpus({schema.name: schema}, tuple(dialogues))


class _at:
    """Makes a Misfit the FormatError of a line."""

    def __init__(self, path: Path, number: int):
        self.path, self.number = path, number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, Misfit):
            raise FormatError(
                error.message, path=self.path, line=self.number, mend=error.mend
            ) from error


def _line(raw: Dict[str, Any], number: int) -> Tuple[str, _Line]:
    name = raw.get("conversation")
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    elif not get(raw, "conversation", str, ()).strip():
        raise Misfit("'conversation' is empty", "give each conversation an id", ())
    split = raw.get("split")
    if split is not None and split not in SPLITS:
        raise Misfit(f"unknown split {quote(split)}", did_you_mean(str(split), SPLITS, "it"), ())
    return str(name), _Line(number, _time(raw.get("time")), split, raw)


def _time(value: Any) -> Optional[float]:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18:
        return float(value)
    try:
        when = datetime.fromisoformat(_spelled_out(str(value).strip()))
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        mend = "write seconds since 1970, or 2024-05-31T17:00:00+00:00"
        raise Misfit(f"{quote(value)} is no time", mend, ()) from None


def _spelled_out(time: str) -> str:
    """A time as Python before 3.11 reads it: six digits of a fraction or none, +00:00 for Z."""

    def end(found: re.Match) -> str:
        seconds, fraction, hours, minutes = found.groups()
        digits = "" if fraction is None else f".{fraction[:6]:0<6}"
        return seconds + digits + ("" if hours is None else f"{hours}:{minutes or '00'}")

    return _TIMES_END.sub(end, time.replace("Z", "+00:00"))


def _ordered(lines: List[_Line], path: Path) -> List[_Line]:
    timed = [line for line in lines if line.time is not None]
    if timed and len(timed) < len(lines):
        bare = next(line for line in lines if line.time is None)
        message = f"no 'time' here, but on line {timed[0].number} of the same conversation"
        mend = "give all lines of a conversation a time, or none"
        raise FormatError(message, path=path, line=bare.number, mend=mend)
    # lines of one time stay in the file's order
    return sorted(lines, key=lambda line: line.time or 0.0)


def _split(lines: List[_Line], path: Path) -> Optional[str]:
    named = [line for line in lines if line.split is not None]
    for line in named:
        if line.split != named[0].split:
            message = f"split {quote(line.split)}, but {quote(named[0].split)} on line"
            mend = "give a conversation one split"
            where = f"{message} {named[0].number}"
            raise FormatError(where, path=path, line=line.number, mend=mend)
    return named[0].split if named else None


def _turns(lines: List[_Line], schema: Schema, path: Path) -> Tuple[Turn, ...]:
    # dumps of tables have every column on every line, so null or [] alone says nothing
    labelled = any(line.raw.get(key) for line in lines for key in _STATE)
    slots = {slot.name: slot for slot in schema.slots}
    conversation = _Conversation(schema, slots, labelled)
    said = []
    for line in lines:
        with _at(path, line.number):
            said.append(_utterance(line.raw, conversation))
    return as_turns(said)


def _utterance(raw: Dict[str, Any], conversation: _Conversation) -> Turn:
    speaker = _SPEAKERS.get(get(raw, "speaker", str, ()))
    if speaker is None:
        message = f"unknown speaker {quote(raw['speaker'])}"
        raise Misfit(message, "write user or system", ())
    text = get(raw, "text", str, ())
    if not text.strip():
        raise Misfit("'text' is empty", "write what was said, or leave the line out", ())
    mark = next((m for m in _MARK.finditer(text) if m[1].strip() in conversation.slots), None)
    if mark is not None:
        mend = "write the text as it was said; 'spans' say where values stand"
        raise Misfit(f"{quote(mark[0])} is a mark, which only YAML has", mend, ())
    spans = tuple(_span(item, text, conversation) for item in (optional(raw, "spans", list) or ()))
    if speaker == "user":
        _refuse(raw, ("action", *_CALL), "a user's line")
        state = _state(raw, conversation)
        if conversation.labelled and state is None:
            spans = ()  # of values that no state holds
        return Turn("user", text, state, spans=spans)
    _refuse(raw, _STATE, "a system's line")
    action = raw.get("action")
    if action is None:
        _refuse(raw, _CALL, "a line without an action")
    elif action not in (names := [each.name for each in conversation.schema.actions]):
        raise Misfit(f"unknown action {quote(action)}", did_you_mean(str(action), names, "it"), ())
    results = [shape(item, dict, "a result", ()) for item in (optional(raw, "results", list) or ())]
    return Turn(
        "system",
        text,
        action=action,
        parameters=_row((optional(raw, "parameters", dict) or {}), conversation),
        results=tuple(_row(item, conversation) for item in results),
        spans=spans,
    )


def _state(raw: Dict[str, Any], conversation: _Conversation) -> Optional[State]:
    """The state after a user's line; what the line doesn't mention stays."""
    if not conversation.labelled:
        return None
    if "state" in raw and raw["state"] is None:
        told = next((key for key in _STATE if raw.get(key)), None)
        if told is not None:
            mend = f"leave 'state' out where {quote(told)} says it, or {quote(told)}"
            raise Misfit(f"'state' is null, but {quote(told)} isn't", mend, ())
        return None
    tracked = conversation.schema.tracked_slots
    changes = {**(optional(raw, "state", dict) or {}), **(optional(raw, "slots", dict) or {})}
    values = {} if "state" in raw else dict(conversation.values)
    for name, value in changes.items():
        slot = _slot(name, conversation)
        if name not in tracked:
            mend = "name it among an intent's required_slots or optional_slots, or leave it out"
            raise Misfit(f"{quote(name)} is in no intent, so no state can hold it", mend, ())
        values.pop(name, None)
        if value is not None:
            spellings = value if isinstance(value, list) and value else [value]
            values[name] = tuple(_value(each, slot) for each in spellings)
    conversation.values = values
    intent = raw.get("intent")
    if intent not in (None, ""):  # a dump's empty columns
        names = [each.name for each in conversation.schema.intents]
        if intent not in (*names, NO_INTENT):
            mend = did_you_mean(str(intent), (*names, NO_INTENT), "it")
            raise Misfit(f"unknown intent {quote(intent)}", mend, ())
        conversation.intent = intent if intent in names else None
    requested = [
        _slot(name, conversation).name for name in (optional(raw, "requested", list) or ())
    ]
    return State(values, conversation.intent, tuple(dict.fromkeys(requested)))


def _span(item: Any, text: str, conversation: _Conversation) -> Span:
    raw = shape(item, dict, "a span", ())
    name = _slot(get(raw, "slot", str, ()), conversation).name
    start, end = get(raw, "start", int, ()), get(raw, "end", int, ())
    if not 0 <= start < end <= len(text):
        message = f"the span {start}-{end} of {quote(name)} is outside the text"
        raise Misfit(message, f"keep it within 0-{len(text)}", ())
    span = trimmed(Span(name, start, end), text)
    if span is None:
        raise Misfit(f"the span {start}-{end} of {quote(name)} is blank", "mark some text", ())
    return span


def _row(raw: Mapping[str, Any], conversation: _Conversation) -> Dict[str, str]:
    return {name: _value(value, _slot(name, conversation)) for name, value in raw.items()}


def _slot(name: Any, conversation: _Conversation) -> Slot:
    slot = conversation.slots.get(name) if isinstance(name, str) else None
    if slot is None:
        mend = did_you_mean(str(name), conversation.slots, "it under slots")
        raise Misfit(f"unknown slot {quote(name)}", mend, ())
    return slot


def _value(value: Any, slot: Slot) -> str:
    if not isinstance(value, str) or not value.strip():
        message = f"{quote(value)} is no value for {quote(slot.name)}"
        raise Misfit(message, "write a text that isn't empty, or leave it out", ())
    value = value.strip()
    if slot.values and value not in slot.values and value != DONTCARE:
        message = f"{quote(value)} is not among the values listed for {quote(slot.name)}"
        raise Misfit(message, did_you_mean(value, (DONTCARE, *slot.values), "it"), ())
    return value


def _refuse(raw: Dict[str, Any], keys: Tuple[str, ...], where: str) -> None:
    for key in keys:
        if raw.get(key) is not None:
            raise Misfit(f"{key!r} on {where}", "take it out", ())
