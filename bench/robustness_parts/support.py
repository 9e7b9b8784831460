"""Support sets with something wrong: mislabelled dialogues, and a slot that nobody mentions."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, State, Turn

__all__ = ["mentions", "mislabelled", "without_a_slot"]


def mislabelled(
    support: Sequence[Dialogue], schema: Schema, rng: random.Random, share: float = 0.2
) -> Tuple[Dialogue, ...]:
    """The support set with every state of a `share` of its dialogues (one at least) wrong.

    A listed value becomes another of its slot. A free one becomes what another slot of the same
    dialogue holds, as if the labeller had slipped a line; where there is none, what the slot holds
    in another dialogue; at last "don't care". The same value is wrong in the same way throughout a
    dialogue. Marks in the user's turns that the state no longer agrees with are dropped.
    """
    labelled = [n for n, dialogue in enumerate(support) if _values(dialogue)]
    count = min(len(labelled), max(1, round(share * len(support))))
    chosen = set(rng.sample(labelled, count))
    return tuple(
        _wrong(dialogue, schema, [d for d in support if d is not dialogue], rng)
        if n in chosen
        else dialogue
        for n, dialogue in enumerate(support)
    )


def without_a_slot(
    support: Sequence[Dialogue], reserve: Sequence[Dialogue], held_out: Sequence[Dialogue]
) -> Optional[Tuple[str, Tuple[Dialogue, ...]]]:
    """A slot, and a support set of the same size in which nobody mentions it.

    The slot is the one that most held-out turns hold, of those that the support set mentions and
    that enough dialogues do without. Support dialogues that don't mention it stay; the others are
    replaced from `reserve`, in its order. None if no slot can be missed.
    """
    held: Dict[str, int] = {}
    for dialogue in held_out:
        for turn in dialogue.turns:
            for slot in turn.state.values if turn.is_user and turn.state else ():
                held[slot] = held.get(slot, 0) + 1
    for slot in sorted(held, key=lambda name: (-held[name], name)):
        fit = [d for d in (*support, *reserve) if not mentions(d, slot)][: len(support)]
        if len(fit) == len(support) and any(mentions(d, slot) for d in support):
            return slot, tuple(fit)
    return None


def mentions(dialogue: Dialogue, slot: str) -> bool:
    """Whether anybody gives, states or asks for the slot's value."""
    for turn in dialogue.turns:
        state = turn.state or State()
        if slot in state.values or slot in state.requested_slots or slot in turn.parameters:
            return True
        if any(span.slot == slot for span in turn.spans):
            return True
    return False


def _values(dialogue: Dialogue) -> Dict[Tuple[str, str], None]:
    """The (slot, value) pairs that the dialogue's states hold, in order."""
    return {
        (slot, value): None
        for turn in dialogue.turns
        if turn.state is not None
        for slot, values in turn.state.values.items()
        for value in values[:1]
    }


def _wrong(
    dialogue: Dialogue, schema: Schema, others: Sequence[Dialogue], rng: random.Random
) -> Dialogue:
    own = _values(dialogue)
    foreign = [pair for other in others for pair in _values(other)]
    wrong: Dict[Tuple[str, str], Tuple[str, ...]] = {}
    for name, value in own:
        listed = schema.slot(name).values
        if listed:
            choices = [[v for v in listed if v != value]]
        else:
            choices = [
                [v for slot, v in own if slot != name],
                [v for slot, v in foreign if slot == name],
            ]
        usable = [[v for v in c if v.lower() not in (value.lower(), DONTCARE)] for c in choices]
        found: List[str] = next((each for each in usable if each), [])
        if found:
            wrong[name, value] = (rng.choice(found),)
        else:
            wrong[name, value] = () if value == DONTCARE else (DONTCARE,)

    def relabelled(turn: Turn) -> Turn:
        if turn.state is None:
            return turn
        changed = {
            slot: wrong[slot, given[0]] for slot, given in turn.state.values.items() if given
        }
        values = {slot: given for slot, given in changed.items() if given}
        spans = tuple(
            span
            for span in turn.spans
            if turn.text[span.start : span.end].lower()
            in {v.lower() for v in values.get(span.slot, ())}
        )
        return replace(turn, state=replace(turn.state, values=values), spans=spans)

    return replace(dialogue, turns=tuple(map(relabelled, dialogue.turns)))
