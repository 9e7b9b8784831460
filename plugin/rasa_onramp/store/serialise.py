"""Value types to and from plain JSON values, as the tables hold them.

The `..._from_json` functions take what a database row holds, which anybody may have edited: they
check its shape and raise StoreError naming the row, `where`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Action, Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.errors import StoreError

__all__ = [
    "dialogue_from_json",
    "dialogue_to_json",
    "schema_from_json",
    "schema_to_json",
    "state_from_json",
    "state_to_json",
    "turn_from_json",
    "turn_to_json",
]

Json = Dict[str, Any]


def schema_to_json(schema: Schema) -> Json:
    """A schema as JSON values."""
    return {
        "name": schema.name,
        "description": schema.description,
        "slots": [
            {"name": slot.name, "description": slot.description, "values": list(slot.values)}
            for slot in schema.slots
        ],
        "intents": [
            {
                "name": intent.name,
                "description": intent.description,
                "required_slots": list(intent.required_slots),
                "optional_slots": dict(intent.optional_slots),
            }
            for intent in schema.intents
        ],
        "actions": [
            {
                "name": action.name,
                "description": action.description,
                "required_slots": list(action.required_slots),
                "result_slots": list(action.result_slots),
                "url": action.url,
                # left out where there are none, so that older schemas keep their digests
                **_some("optional_slots", action.optional_slots),
            }
            for action in schema.actions
        ],
    }


def _some(key: str, values: Sequence[str]) -> Dict[str, List[str]]:
    return {key: list(values)} if values else {}


def schema_from_json(data: Any, where: str) -> Schema:
    """The schema in a row. Raises StoreError."""
    row = _Row(data, where)
    return Schema(
        name=row.text("name"),
        description=row.text("description"),
        slots=tuple(
            Slot(slot.text("name"), slot.text("description"), slot.texts("values"))
            for slot in row.rows("slots")
        ),
        intents=tuple(
            Intent(
                intent.text("name"),
                intent.text("description"),
                intent.texts("required_slots"),
                intent.text_map("optional_slots"),
            )
            for intent in row.rows("intents")
        ),
        actions=tuple(
            Action(
                action.text("name"),
                action.text("description"),
                action.texts("required_slots"),
                action.texts("result_slots"),
                action.optional_text("url"),
                action.texts("optional_slots") if "optional_slots" in action.data else (),
            )
            for action in row.rows("actions")
        ),
    )


def state_to_json(state: State) -> Json:
    """{"values": {slot: [value, …]}, "active_intent": …, "requested_slots": […]}."""
    return {
        "values": {slot: list(values) for slot, values in state.values.items()},
        "active_intent": state.active_intent,
        "requested_slots": list(state.requested_slots),
    }


def state_from_json(data: Any, where: str) -> State:
    """The dialogue state in a row. Raises StoreError."""
    row = _Row(data, where)
    values = _Row(row.get("values"), f"{where}, key 'values',")
    return State(
        values={slot: values.texts(slot) for slot in values.data},
        active_intent=row.optional_text("active_intent"),
        requested_slots=row.texts("requested_slots"),
    )


def turn_to_json(turn: Turn) -> Json:
    """A turn as JSON values; the keys are the columns of the table `turns`."""
    return {
        "speaker": turn.speaker,
        "text": turn.text,
        "state": None if turn.state is None else state_to_json(turn.state),
        "action": turn.action,
        "parameters": dict(turn.parameters),
        "results": [dict(result) for result in turn.results],
        "spans": [{"slot": span.slot, "start": span.start, "end": span.end} for span in turn.spans],
    }


def turn_from_json(data: Any, where: str) -> Turn:
    """The turn in a row. Raises StoreError."""
    row = _Row(data, where)
    speaker = row.text("speaker")
    if speaker not in ("user", "system"):
        row.refuse("has a speaker that isn't 'user' or 'system'")
    state = row.get("state")
    return Turn(
        speaker=speaker,
        text=row.text("text"),
        state=None if state is None else state_from_json(state, f"{where}, column 'state',"),
        action=row.optional_text("action"),
        parameters=row.text_map("parameters"),
        results=tuple(result.text_map() for result in row.rows("results")),
        spans=tuple(
            Span(span.text("slot"), span.number("start"), span.number("end"))
            for span in row.rows("spans")
        ),
    )


def dialogue_from_json(data: Any, where: str) -> Dialogue:
    """The dialogue that `dialogue_to_json` made JSON values of. Raises StoreError."""
    row = _Row(data, where)
    return Dialogue(
        id=row.text("id"),
        domain=row.text("domain"),
        turns=tuple(turn_from_json(turn.data, where) for turn in row.rows("turns")),
        split=row.optional_text("split"),
    )


def dialogue_to_json(dialogue: Dialogue) -> Json:
    """A whole dialogue as JSON values."""
    return {
        "id": dialogue.id,
        "domain": dialogue.domain,
        "split": dialogue.split,
        "turns": [turn_to_json(turn) for turn in dialogue.turns],
    }


class _Row:
    """A JSON object with typed access to its keys; `where` names it in errors."""

    def __init__(self, data: Any, where: str):
        self.where = where
        if not isinstance(data, Mapping):
            self.refuse("isn't a JSON object")
        self.data: Mapping[str, Any] = data

    def refuse(self, problem: str) -> None:
        raise StoreError(
            f"{self.where} {problem}; the row was changed by hand: undo that, or delete what it "
            "belongs to and give it anew (`rasa-onramp remove DOMAIN`, with --dialogue ID for "
            "one alone, or `rasa-onramp feedback remove DOMAIN ID`)"
        )

    def get(self, key: str) -> Any:
        if key not in self.data:
            self.refuse(f"lacks {key!r}")
        return self.data[key]

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            self.refuse(f"has {key!r} that isn't text")
        return value

    def optional_text(self, key: str) -> Optional[str]:
        return None if self.get(key) is None else self.text(key)

    def number(self, key: str) -> int:
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(f"has {key!r} that isn't a whole number")
        return value

    def items(self, key: str) -> List[Any]:
        value = self.get(key)
        if not isinstance(value, (list, tuple)):
            self.refuse(f"has {key!r} that isn't a list")
        return list(value)

    def texts(self, key: str) -> Tuple[str, ...]:
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            self.refuse(f"has {key!r} that isn't a list of texts")
        return tuple(values)

    def rows(self, key: str) -> Tuple[_Row, ...]:
        return tuple(_Row(item, f"{self.where}, {key!r},") for item in self.items(key))

    def text_map(self, key: Optional[str] = None) -> Dict[str, str]:
        row = self if key is None else _Row(self.get(key), f"{self.where}, {key!r},")
        return {name: row.text(name) for name in row.data}
