"""The value types that every other module speaks: schemas, dialogues and states.

Nothing here imports torch, Rasa or SQL. All types are frozen; mappings inside them are to be
treated as read-only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import FrozenSet, Mapping, Optional, Tuple, TypeVar

__all__ = [
    "DONTCARE",
    "LONGEST_REPLY",
    "SPLITS",
    "Action",
    "Corpus",
    "Dialogue",
    "Intent",
    "Schema",
    "Slot",
    "Span",
    "State",
    "Turn",
    "conversation",
    "joined",
    "unlabelled",
]

#: The value a slot takes when the user says that any value will do.
DONTCARE = "dontcare"
#: Characters of the longest reply that is said: messengers take no longer message.
LONGEST_REPLY = 4096
#: What a dialogue may be for, if anything yet.
SPLITS = ("support", "held-out")


@dataclass(frozen=True)
class Slot:
    """One thing a domain keeps track of: free text, or one of `values` where they are listed."""

    name: str
    description: str = ""
    values: Tuple[str, ...] = ()

    @property
    def categorical(self) -> bool:
        """Whether the slot's values are listed."""
        return bool(self.values)


@dataclass(frozen=True)
class Intent:
    """What a user can want in a domain.

    `required_slots` are needed for it; `optional_slots` maps those that may be given to the value
    that is taken where the user names none (DONTCARE: any will do).
    """

    name: str
    description: str = ""
    required_slots: Tuple[str, ...] = ()
    optional_slots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """An API call that a domain can make.

    `required_slots` must be in the state before it is called; `optional_slots` are given with a
    call where the state has them, be they in an example call or not; `result_slots` are what a
    result row may hold; `url` is an HTTP endpoint that answers it, if there is one.
    """

    name: str
    description: str = ""
    required_slots: Tuple[str, ...] = ()
    result_slots: Tuple[str, ...] = ()
    url: Optional[str] = None
    optional_slots: Tuple[str, ...] = ()


_Named = TypeVar("_Named", Slot, Intent, Action)


@dataclass(frozen=True)
class Schema:
    """A domain: its slots, intents and actions, each described in plain words."""

    name: str
    description: str = ""
    slots: Tuple[Slot, ...] = ()
    intents: Tuple[Intent, ...] = ()
    actions: Tuple[Action, ...] = ()

    @property
    def tracked_slots(self) -> FrozenSet[str]:
        """Names of the slots that a state may hold: those that some intent requires or offers.

        The others are only ever reported (a price, a status). Where no intent names a slot, all.
        """
        named = {s for i in self.intents for s in (*i.required_slots, *i.optional_slots)}
        return frozenset(named or {slot.name for slot in self.slots})

    def slot(self, name: str) -> Slot:
        """The slot called `name`. Raises KeyError."""
        return _by_name(self.slots, name)

    def intent(self, name: str) -> Intent:
        """The intent called `name`. Raises KeyError."""
        return _by_name(self.intents, name)

    def action(self, name: str) -> Action:
        """The action called `name`. Raises KeyError."""
        return _by_name(self.actions, name)

    def results_of(self, name: str) -> Tuple[str, ...]:
        """The result slots of the action called `name`; none where there is none any more."""
        return next((each.result_slots for each in self.actions if each.name == name), ())


@dataclass(frozen=True)
class Span:
    """Where a slot's value stands in a turn's text: characters [start, end)."""

    slot: str
    start: int
    end: int


@dataclass(frozen=True)
class State:
    """The dialogue state after a user turn.

    `values` maps a slot to its equivalent values, the preferred one first ("5 pm", "17:00").
    `requested_slots` is what the user asked to be told in this very turn.
    """

    values: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)
    active_intent: Optional[str] = None
    requested_slots: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """One utterance.

    User turns carry the `state` after them; it is None where the turn says nothing to this domain
    (out of scope, or another service's). System turns may carry the `action` (API call) made right
    before the text was said, its `parameters` and its `results`, one mapping a row.
    `spans` marks the values that stand in the text: on system turns, what the bot itself stated.
    """

    speaker: str  # "user" or "system"
    text: str
    state: Optional[State] = None
    action: Optional[str] = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    results: Tuple[Mapping[str, str], ...] = ()
    spans: Tuple[Span, ...] = ()

    @property
    def is_user(self) -> bool:
        """Whether the user says it."""
        return self.speaker == "user"


@dataclass(frozen=True)
class Dialogue:
    """A conversation seen from one domain. `split` is "support", "held-out" or None.

    Replies among the first `history` turns were said, but are no examples of what to say.
    """

    id: str
    domain: str
    turns: Tuple[Turn, ...]
    split: Optional[str] = None
    history: int = 0


@dataclass(frozen=True)
class Corpus:
    """What a file or folder holds: schemas by name, and dialogues of those schemas."""

    schemas: Mapping[str, Schema]
    dialogues: Tuple[Dialogue, ...]


def conversation(dialogue: Dialogue) -> Tuple[str, Tuple[str, ...]]:
    """Equal for the views of one conversation from several domains. An id tells conversations
    apart within a file only.
    """
    return dialogue.id, tuple(turn.text for turn in dialogue.turns)


def joined(first: Turn, second: Turn) -> Turn:
    """Two utterances of one speaker, one right after the other, as one turn.

    The later state and the later call count; what is requested adds up.
    """
    shift = len(first.text) + 1
    moved = tuple(replace(s, start=s.start + shift, end=s.end + shift) for s in second.spans)
    called = second if second.action is not None or second.results else first
    return Turn(
        speaker=first.speaker,
        text=f"{first.text} {second.text}",
        state=_state_of_both(first.state, second.state),
        action=called.action,
        parameters=called.parameters,
        results=called.results,
        spans=first.spans + moved,
    )


def unlabelled(dialogue: Dialogue) -> bool:
    """Whether nobody said what its user wants: every user turn has a state, none of which says
    anything. A call without parameters is labelled as such; one that has some lacks its states.
    """
    return all(
        turn.state == State() if turn.is_user else turn.action is None or bool(turn.parameters)
        for turn in dialogue.turns
    )


def _state_of_both(first: Optional[State], second: Optional[State]) -> Optional[State]:
    if first is None or second is None:
        return first if second is None else second
    requested = dict.fromkeys((*first.requested_slots, *second.requested_slots))
    return replace(second, requested_slots=tuple(requested))


def _by_name(items: Tuple[_Named, ...], name: str) -> _Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)
