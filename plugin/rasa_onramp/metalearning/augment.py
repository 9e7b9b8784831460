"""The same dialogue in other words: paraphrased schemas, shuffled order, forgotten values.

SGD-X (Lee et al. 2022) describes each SGD service five times over, slot for slot; a dialogue is
translated by renaming. Order carries no meaning, so it is shuffled. Values are forgotten from the
state known before a turn so that the tracker learns to pick up what it once missed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Sequence, Tuple, TypeVar

from rasa_onramp.dialogue import Dialogue, Intent, Schema, Slot, State, Turn
from rasa_onramp.errors import ConfigError

__all__ = ["Renaming", "crop", "forget", "renaming", "shuffled", "translate", "undescribed"]

Described = TypeVar("Described", Slot, Intent)
Values = Mapping[str, Tuple[str, ...]]


@dataclass(frozen=True)
class Renaming:
    """New names for a schema's slots, intents and actions."""

    slots: Mapping[str, str]
    intents: Mapping[str, str]
    actions: Mapping[str, str]


def renaming(old: Schema, new: Schema) -> Renaming:
    """How `new`, which describes the same domain item for item, calls `old`'s names.

    Raises ConfigError if they don't correspond.
    """

    def pair(a: Sequence[Any], b: Sequence[Any]) -> Dict[str, str]:
        if len(a) != len(b):
            raise ConfigError(
                f"{old.name} and its paraphrase {new.name} don't have the same number of slots, "
                "intents and actions; give schemas that correspond item for item"
            )
        return {x.name: y.name for x, y in zip(a, b)}

    names = Renaming(
        pair(old.slots, new.slots), pair(old.intents, new.intents), pair(old.actions, new.actions)
    )
    for a, b in zip(old.slots, new.slots):
        if set(a.values) != set(b.values):
            raise ConfigError(
                f"slot {a.name!r} of {old.name} and {b.name!r} of its paraphrase {new.name} don't "
                "list the same values; paraphrases have other names and descriptions only"
            )
    return names


def translate(dialogue: Dialogue, names: Renaming, domain: str) -> Dialogue:
    """The dialogue with slots, intents and actions renamed."""
    return replace(
        dialogue, domain=domain, turns=tuple(_turn(turn, names) for turn in dialogue.turns)
    )


def _turn(turn: Turn, names: Renaming) -> Turn:
    def keys(values: Mapping) -> Dict:
        return {names.slots.get(k, k): v for k, v in values.items()}

    state = turn.state
    if state is not None:
        intent = state.active_intent
        state = State(
            keys(state.values),
            names.intents.get(intent, intent) if intent else None,
            tuple(names.slots.get(s, s) for s in state.requested_slots),
        )
    return replace(
        turn,
        state=state,
        action=names.actions.get(turn.action, turn.action) if turn.action else None,
        parameters=keys(turn.parameters),
        results=tuple(keys(row) for row in turn.results),
        spans=tuple(replace(s, slot=names.slots.get(s.slot, s.slot)) for s in turn.spans),
    )


def shuffled(schema: Schema, rng: random.Random) -> Schema:
    """The schema with slots, listed values, intents and actions in random order."""

    def mix(items: Sequence) -> tuple:
        return tuple(rng.sample(list(items), len(items)))

    slots: List[Slot] = [replace(slot, values=mix(slot.values)) for slot in schema.slots]
    return replace(
        schema, slots=mix(slots), intents=mix(schema.intents), actions=mix(schema.actions)
    )


def undescribed(schema: Schema, rng: random.Random, share: float) -> Schema:
    """The schema with a random `share` of its slots' and intents' descriptions left out; an
    intent's also where an action of that name says the same.
    """

    def drop(item: Described) -> Described:
        return replace(item, description="") if rng.random() < share else item

    slots = tuple(drop(s) for s in schema.slots)
    intents = tuple(drop(i) for i in schema.intents)
    # else it would be read there: a prompt leaves out what an intent says already
    left_out = {(i.name, i.description) for i in schema.intents if i not in intents}
    actions = tuple(
        replace(a, description="") if (a.name, a.description) in left_out else a
        for a in schema.actions
    )
    return replace(schema, slots=slots, intents=intents, actions=actions)


def crop(dialogue: Dialogue, context: int = 6) -> Dialogue:
    """Only the turns in which the dialogue is about its domain, with `context` turns before."""
    about = [i for i, t in enumerate(dialogue.turns) if t.is_user and t.state is not None]
    if not about:
        return replace(dialogue, turns=())
    first = max(0, about[0] - context)
    return replace(dialogue, turns=dialogue.turns[first : about[-1] + 2])


def forget(known: Sequence[Values], rng: random.Random, share: float) -> List[Values]:
    """Leave a random `share` of the known values out, turn by turn."""
    return [{k: v for k, v in values.items() if rng.random() >= share} for values in known]
