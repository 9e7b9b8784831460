"""What happens in a Rasa conversation, put together into one domain's turns and states.

Rasa's tracker store and its stories say the same things in different words: a message with intent
and entities, a slot set, an action run, something said. Here they become turns:

- An intent of the schema becomes the active one. Others, such as `inform` or `affirm`, leave it.
- A slot of the schema that some intent requires or offers is set as Rasa sets it: what is set
  between two messages is in the state after the first. What an action empties, as after a booking
  is made, was still there after the message that it answers.
- An entity sets the slot of its name (or of its role's), unless the conversation has Rasa set that
  slot itself; entities of the user's own words are marked in the text.
- Where rasa-onramp itself tracked the conversation, its states, calls and marks are taken as they
  are.
- An action of the schema (with or without `action_` before its name) is a call. Slots among its
  `result_slots` that are set after it, before the next message, are its one result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import DONTCARE, Action, Schema, Slot, Span, State, Turn
from rasa_onramp.formats.marks import trimmed
from rasa_onramp.formats.rasa_parts import Button, Entity, value_text
from rasa_onramp.formats.rasa_payload import Replied, Understood
from rasa_onramp.formats.shape import Misfit
from rasa_onramp.formats.utterances import as_turns
from rasa_onramp.formats.wording import did_you_mean, quote
from rasa_onramp.formats.yaml_dialogues import listed_value

__all__ = ["RasaTurns"]

#: A message that a button sends in the user's name: /inform{"city": "Leeds"}
_PAYLOAD = re.compile(r"/\s*[^\s{@]+\s*(@[0-9.]+\s*)?(\{.*\})?\Z", re.DOTALL)

#: Messages to Rasa itself.
_COMMANDS = ("/restart", "/session_start")


@dataclass
class _Said:
    """An utterance that may still change: a call's results come after what was said."""

    speaker: str
    text: str = ""
    spans: Tuple[Span, ...] = ()
    state: State = field(default_factory=State)
    action: Optional[str] = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    row: Dict[str, str] = field(default_factory=dict)
    rows: Tuple[Mapping[str, str], ...] = ()
    requested: Tuple[str, ...] = ()
    elsewhere: bool = False  # it says nothing to the domain
    closed: bool = False  # a message came since, so its state stays


class RasaTurns:
    """One conversation as `schema`'s domain sees it. `set_by_rasa` names the slots that Rasa sets
    itself somewhere in it. Every method raises Misfit for a value that its slot can't have.
    """

    def __init__(self, schema: Schema, set_by_rasa: FrozenSet[str] = frozenset()):
        self._slots: Mapping[str, Slot] = {slot.name: slot for slot in schema.slots}
        self._intents = {intent.name: intent for intent in schema.intents}
        self._actions = {action.name: action for action in schema.actions}
        self._tracked = schema.tracked_slots
        self._set_by_rasa = set_by_rasa
        self._values: Dict[str, Tuple[str, ...]] = {}
        self._intent: Optional[str] = None
        self._called: Optional[Action] = None
        self._acted = False  # since the last message
        self._ours = False  # the last message was rasa-onramp's to understand
        self._emptied: Set[str] = set()  # by an action since then
        self._said: List[_Said] = []
        self._buttons: List[Button] = []
        self._touched = False

    def user(self, text: Optional[str], intent: Optional[str], entities: Sequence[Entity]) -> None:
        """A message. One without words (a trigger, a command to Rasa) is no turn."""
        self._close(for_good=True)
        for name in self._emptied:
            self._values.pop(name, None)
        self._emptied, self._called, self._acted, self._ours = set(), None, False, False
        if intent in self._intents:
            self._intent = intent
            self._touched = True
        named = [(name, entity) for entity in entities for name in self._slot_of(entity)]
        for name, entity in named:
            self._touched = True
            if name in self._tracked and name not in self._set_by_rasa:
                self._put(name, entity.value)
        if text is None or not text.strip() or text.strip() in _COMMANDS:
            return
        spans: List[Span] = []
        if _PAYLOAD.match(text.strip()):
            text = self._pressed(text.strip(), intent, entities)
            named = [(name, _found(entity, text)) for name, entity in named]
        for name, entity in named:
            start, end = entity.start, entity.end
            if start is None or end is None or not 0 <= start < end <= len(text):
                continue
            span = trimmed(Span(name, start, end), text)
            if span and all(span.end <= each.start or each.end <= span.start for each in spans):
                spans.append(span)
        self._said.append(_Said("user", text, tuple(spans)))
        self._buttons = []

    def understood(self, found: Understood) -> None:
        """What rasa-onramp made of the message before. Rasa's slots only repeat it."""
        self._ours = True
        if found.values is not None:
            self._values = {}
            for name, texts in found.values.items():
                spellings = (self._text(name, text) for text in texts)
                self._values[name] = tuple(text for text in spellings if text is not None)
            self._intent = found.intent
            self._touched = True
        if self._said and self._said[-1].speaker == "user":
            said = self._said[-1]
            said.requested = found.requested
            said.elsewhere = found.values is None
            said.spans = tuple(s for s in found.spans if 0 <= s.start < s.end <= len(said.text))

    def replied(self, text: str, found: Replied) -> None:
        """rasa-onramp says something in the domain."""
        now = self._now()
        start = len(now.text) + 1 if now.text else 0
        self.bot(text)
        end = len(now.text)
        moved = (Span(s.slot, s.start + start, s.end + start) for s in found.spans)
        now.spans += tuple(s for s in moved if start <= s.start < s.end <= end)
        if found.action is not None:
            now.action = found.action
            now.parameters = self._row(found.parameters)
            now.rows = tuple(self._row(row) for row in found.results)

    def slot(self, name: str, value: Any) -> None:
        """Rasa sets a slot; None empties it. Slots that the schema lacks are passed over."""
        if name not in self._slots or self._ours:
            return
        called = self._called
        if value is not None and called is not None and name in called.result_slots:
            given = self._text(name, value)
            if given is not None:
                self._now().row[name] = given
        elif name in self._tracked:
            if value is None and self._acted:
                self._emptied.add(name)
                return
            self._put(name, value)
            self._touched = self._touched or value is not None

    def reset(self) -> None:
        """Rasa empties all slots."""
        for name in self._tracked:
            self.slot(name, None)

    def action(self, name: str) -> None:
        """Rasa runs an action."""
        self._acted = self._acted or name != "action_listen"
        short = name[len("action_") :] if name.startswith("action_") else name
        called = self._actions.get(name) or self._actions.get(short)
        if called is None or self._ours:
            return
        self._touched = True
        self._called = called
        intent = self._intents.get(self._intent or "")
        wanted = dict.fromkeys(called.required_slots)
        if intent is not None:
            wanted.update(dict.fromkeys((*intent.required_slots, *intent.optional_slots)))
        now = self._now()
        now.action, now.row = called.name, {}
        now.parameters = {
            slot: self._values[slot][0]
            for slot in wanted
            if slot in self._values and self._values[slot][0] != DONTCARE
        }

    def bot(self, text: Optional[str], buttons: Sequence[Button] = ()) -> None:
        """The bot says something; pictures and the like have no text."""
        self._acted = True
        self._buttons.extend(buttons)
        if text is not None and text.strip():
            now = self._now()
            now.text = f"{now.text} {text.strip()}" if now.text else text.strip()

    def turns(self) -> Tuple[Turn, ...]:
        """The turns so far. Users' turns have states if anything was said to the domain at all."""
        self._close()
        turns = as_turns(_turn(said) for said in self._said if said.text)
        if self._touched:
            return turns
        return tuple(replace(turn, state=None) for turn in turns)

    def values(self) -> Mapping[str, Tuple[str, ...]]:
        """The state's values as they are now."""
        return dict(self._values)

    def _now(self) -> _Said:
        """The system's utterance that is under way."""
        if not self._said or self._said[-1].speaker == "user":
            self._said.append(_Said("system"))
        return self._said[-1]

    def _close(self, *, for_good: bool = False) -> None:
        """Up to here the state is that after the user's last turn, unless a message came since."""
        for said in reversed(self._said):
            if said.speaker == "user":
                if not said.closed:
                    said.state = State(dict(self._values), self._intent, said.requested)
                said.closed = said.closed or for_good
                break

    def _slot_of(self, entity: Entity) -> List[str]:
        names = (entity.role or "", entity.name)
        return [name for name in names if name in self._slots][:1]

    def _row(self, row: Mapping[str, Any]) -> Dict[str, str]:
        texts = ((name, self._text(name, row[name])) for name in row if name in self._slots)
        return {name: text for name, text in texts if text is not None}

    def _put(self, name: str, value: Any) -> None:
        text = self._text(name, value)
        self._emptied.discard(name)
        self._values.pop(name, None)
        if text is not None:
            self._values[name] = (text,)

    def _text(self, name: str, value: Any) -> Optional[str]:
        slot = self._slots[name]
        text = value_text(value, name)
        if text is None or text == DONTCARE:
            return text
        listed = listed_value(text, slot)
        if listed is None:
            message = f"{quote(text)} is not among the values listed for {quote(name)}"
            raise Misfit(message, f"list it in the schema, or {_mend(text, slot)}", ())
        return listed

    def _pressed(self, payload: str, intent: Optional[str], entities: Sequence[Entity]) -> str:
        """What a user who presses a button means to say."""
        for button in self._buttons:
            if button.payload.strip() == payload and button.title.strip():
                return button.title.strip()
        name = re.split("[{@]", payload[1:], maxsplit=1)[0].strip()
        if intent != name:  # Rasa took it for what somebody says
            return payload
        values = [value_text(entity.value, entity.name) for entity in entities]
        said = " ".join(value for value in values if value)
        return said or " ".join(name.replace("_", " ").split()) or payload


def _turn(said: _Said) -> Turn:
    if said.speaker == "user":
        return Turn("user", said.text, None if said.elsewhere else said.state, spans=said.spans)
    rows = said.rows or ((said.row,) if said.row else ())
    return Turn(
        "system",
        said.text,
        action=said.action,
        parameters=said.parameters,
        results=rows,
        spans=said.spans,
    )


def _found(entity: Entity, text: str) -> Entity:
    """`entity` where its value stands in `text`, a button's title."""
    value = entity.value.strip() if isinstance(entity.value, str) else ""
    start = text.find(value) if value else -1
    if start < 0:
        return replace(entity, start=None, end=None)
    return replace(entity, start=start, end=start + len(value))


def _mend(text: str, slot: Slot) -> str:
    return did_you_mean(text, slot.values, "it")
