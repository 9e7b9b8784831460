"""Which slots an action is called with, by what dialogues and the schema show."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, Iterator, Sequence, Set, Tuple

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, State, Turn

__all__ = ["taken_slots", "unshown_slots"]


def taken_slots(schema: Schema, support: Iterable[Dialogue]) -> Dict[str, FrozenSet[str]]:
    """The slots that each action with an example call is given: those of such calls, its required
    and its optional ones, and those that may be given for the intent of its name: in SGD's format
    one entry makes both. An example without even its required slots shows nothing.
    """
    seen: Dict[str, Set[str]] = {}
    for _, call in _examples(schema, support):
        seen.setdefault(str(call.action), set()).update(call.parameters)
    of_intent = {intent.name: intent.optional_slots for intent in schema.intents}
    return {
        action.name: frozenset(
            {
                *seen[action.name],
                *action.required_slots,
                *action.optional_slots,
                *of_intent.get(action.name, ()),
            }
        )
        for action in schema.actions
        if action.name in seen
    }


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
        known.update(s for s, v in state.values.items() if v and v[0] != DONTCARE)
    return tuple(sorted(unknown - known))


def _examples(schema: Schema, support: Iterable[Dialogue]) -> Iterator[Tuple[State, Turn]]:
    """Each call that has its required slots at least, with the state it is made in."""
    required = {action.name: set(action.required_slots) for action in schema.actions}
    for dialogue in support:
        state = State()
        for turn in dialogue.turns:
            if turn.is_user:
                state = turn.state or state
            elif turn.action is not None and required.get(turn.action, set()) <= set(
                turn.parameters
            ):
                yield state, turn
