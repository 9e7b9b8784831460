"""Which slots an action is called with, by what dialogues and the schema show."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, Iterator, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, State, Turn

__all__ = ["taken_slots", "unshown_slots"]


def taken_slots(
    schema: Schema, support: Iterable[Dialogue]
) -> Dict[Tuple[str, Optional[str]], FrozenSet[str]]:
    """The slots that each action with an example call is given, by its name and the intent that it
    is called for; None: another than the examples'.

    They are those of such calls, those of calls for other intents that this one takes, too, the
    action's required and optional ones, and those that may be given for the intent of its name: in
    SGD's format one entry makes both. An example without even its required slots shows nothing, nor
    does one without any parameters where values were known.
    """
    shown: Dict[str, Dict[Optional[str], Set[str]]] = {}
    for state, call in _examples(schema, support):
        of_action = shown.setdefault(str(call.action), {None: set()})
        for intent in (None, state.active_intent):
            of_action.setdefault(intent, set()).update(call.parameters)
    takes = {i.name: (*i.required_slots, *i.optional_slots) for i in schema.intents}
    of_intent = {intent.name: intent.optional_slots for intent in schema.intents}
    taken: Dict[Tuple[str, Optional[str]], FrozenSet[str]] = {}
    for action in schema.actions:
        always = {*action.required_slots, *action.optional_slots, *of_intent.get(action.name, ())}
        for intent, slots in shown.get(action.name, {}).items():
            others = shown[action.name][None].intersection(takes.get(intent or "", ()))
            taken[action.name, intent] = frozenset(slots | always | others)
    return taken


def unshown_slots(schema: Schema, support: Sequence[Dialogue]) -> Tuple[str, ...]:
    """Slots that users may fill and that no call passes on, though no example shows that none
    should: those of intents that actions are called for, which no action takes and no example call
    knew a value of.
    """
    unknown: Set[str] = set()
    known: Set[str] = {slot for slots in taken_slots(schema, support).values() for slot in slots}
    intents = {i.name: (*i.required_slots, *i.optional_slots) for i in schema.intents}
    for state, _ in _examples(schema, support):
        unknown.update(intents.get(state.active_intent or "", ()))
        known.update(_known(state))
    return tuple(sorted(unknown - known))


def _examples(schema: Schema, support: Iterable[Dialogue]) -> Iterator[Tuple[State, Turn]]:
    """Each call that seems to be shown with its parameters, with the state it is made in."""
    required = {action.name: set(action.required_slots) for action in schema.actions}
    for dialogue in support:
        state = State()
        for turn in dialogue.turns:
            if turn.is_user:
                state = turn.state or state
            elif turn.action is not None:
                given = set(turn.parameters)
                if required.get(turn.action, set()) <= given and (given or not _known(state)):
                    yield state, turn


def _known(state: State) -> Set[str]:
    return {slot for slot, texts in state.values.items() if texts and texts[0] != DONTCARE}
