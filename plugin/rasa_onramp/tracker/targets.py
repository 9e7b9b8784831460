"""What the queries should point at: the training labels of a prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_onramp.dialogue import DONTCARE, Schema, Slot, State, Turn
from rasa_onramp.tracker.prompt import Prompt
from rasa_onramp.tracker.roles import Role
from rasa_onramp.tracker.schema_prompt import SchemaPrompt
from rasa_onramp.tracker.windows import MAX_POSITIONS

__all__ = ["Targets", "is_said", "known_before", "label", "unsaid"]

Values = Mapping[str, Tuple[str, ...]]


@dataclass(frozen=True)
class Targets:
    """Labels of a prompt with `queries` queries.

    `points` holds (query, start token, end token), possibly several a query: any of them is right.
    A query with none is not trained on (its value can't be pointed at). `requested` is (queries,),
    1 where the user asks to be told that slot.
    """

    points: Tuple[Tuple[int, int, int], ...]
    requested: np.ndarray


def known_before(turns: Sequence[Turn]) -> List[Values]:
    """For each turn, the values of the last state before it."""
    known: List[Values] = []
    values: Values = {}
    for turn in turns:
        known.append(values)
        if turn.is_user and turn.state is not None:
            values = turn.state.values
    return known


def label(prompt: Prompt, known: Sequence[Values]) -> Targets:
    """Point each query of `prompt` at what is right, given what was `known` before each turn.

    Turns without a state (out of scope) should change nothing and have no intent and no action.
    What is done after a message that no reply follows isn't known: its action isn't trained on.
    """
    schema = prompt.schema
    points: List[Tuple[int, int, int]] = []
    width = prompt.queries_a_turn
    requested = np.zeros(width * len(prompt.asked), np.float32)
    for row, (index, before) in enumerate(zip(prompt.asked, known)):
        state = prompt.turns[index].state
        base = row * width
        after = before if state is None else state.values
        for column, slot in enumerate(schema.schema.slots):
            spots = _slot(prompt, column, slot, index, before.get(slot.name), after.get(slot.name))
            points.extend((base + column, a, b) for a, b in spots)
            if state is not None and slot.name in state.requested_slots:
                requested[base + column] = 1
        intent = None if state is None else state.active_intent
        points.append((base + width - 2, *_named(schema, schema.intents, intent)))
        following = prompt.turns[index + 1 : index + 2]
        if state is None or (following and not following[0].is_user):
            action = following[0].action if following and state is not None else None
            points.append((base + width - 1, *_named(schema, schema.actions, action)))
    return Targets(tuple(points), requested)


def unsaid(schema: Schema, turns: Sequence[Turn]) -> Iterator[Tuple[int, str, str]]:
    """The new values of free slots that `label` can't point at, as no turn up to theirs says them:
    (index of the turn, slot, value).
    """
    for index, before in enumerate(known_before(turns)):
        state = turns[index].state or State()
        for slot in schema.slots:
            new = state.values.get(slot.name)
            if slot.categorical or not new or new[0] == DONTCARE:
                continue
            # a turn takes two tokens at least, so no prompt has more
            heard = turns[max(0, index + 1 - MAX_POSITIONS // 2) : index + 1]
            if not _kept(before.get(slot.name), new) and not is_said(heard, slot.name, new):
                yield index, slot.name, new[0]


def is_said(turns: Sequence[Turn], slot: str, values: Tuple[str, ...]) -> bool:
    """Whether one of a free slot's `values` stands in any of `turns`, as `label` looks for it."""
    return any(
        next(_marked(turn, slot, values), None) or next(_verbatim(turn, values), None)
        for turn in reversed(turns)
    )


def _named(schema: SchemaPrompt, places: Mapping[str, int], name: Optional[str]) -> Tuple[int, int]:
    place = places.get(name, schema.none) if name else schema.none
    return place, place


def _slot(
    prompt: Prompt,
    column: int,
    slot: Slot,
    index: int,
    before: Optional[Tuple[str, ...]],
    after: Optional[Tuple[str, ...]],
) -> List[Tuple[int, int]]:
    """The (start, end) tokens that are right for one slot at turn `index`; none if unreachable."""
    schema = prompt.schema
    if not after:
        place = schema.clear if before else schema.none
        return [(place, place)]
    if _kept(before, after):
        return [(schema.none, schema.none)]
    if after[0] == DONTCARE:
        return [(schema.any, schema.any)]
    if slot.categorical:
        places = [schema.targets[column].get(v.lower()) for v in after]
        return [(p, p) for p in places if p is not None][:1]
    return _mentions(prompt, slot.name, index, after)


def _mentions(
    prompt: Prompt, slot: str, index: int, values: Tuple[str, ...]
) -> List[Tuple[int, int]]:
    """Where one of `values` stands: marked spans of the slot, else the latest verbatim mention."""
    tokens = _tokens_by_turn(prompt)
    marked: List[Tuple[int, int]] = []
    plain: List[Tuple[int, int]] = []
    for turn_index in sorted((t for t in tokens if t <= index), reverse=True):
        turn = prompt.turns[turn_index]
        for start, end in _marked(turn, slot, values):
            marked += _align(prompt, tokens[turn_index], start, end)
        if not plain and not marked:
            for start, end in _verbatim(turn, values):
                plain += _align(prompt, tokens[turn_index], start, end)
    return marked or plain


def _marked(turn: Turn, slot: str, values: Tuple[str, ...]) -> Iterator[Tuple[int, int]]:
    """Characters [start, end) that are marked as the slot's and say one of `values`."""
    wanted = {v.lower() for v in values}
    for span in turn.spans:
        if span.slot == slot and turn.text[span.start : span.end].lower() in wanted:
            yield span.start, span.end


def _verbatim(turn: Turn, values: Tuple[str, ...]) -> Iterator[Tuple[int, int]]:
    """Characters [start, end) that say one of `values` in whole words."""
    wanted = {v.lower() for v in values}
    for value in sorted(set(values)):
        # not in a lower-cased copy: lower-casing changes some texts' length
        pattern = rf"(?<!\w){re.escape(value)}(?!\w)"
        for match in re.finditer(pattern, turn.text, re.IGNORECASE):
            if match.group().lower() in wanted:
                yield match.span()


def _kept(before: Optional[Tuple[str, ...]], after: Tuple[str, ...]) -> bool:
    """Whether a value that is known has stayed, perhaps in another spelling."""
    return not {v.lower() for v in before or ()}.isdisjoint(v.lower() for v in after)


def _tokens_by_turn(prompt: Prompt) -> Dict[int, np.ndarray]:
    where = np.flatnonzero(prompt.role == Role.TEXT)
    turns = prompt.utterance[where]
    return {int(t): where[turns == t] for t in np.unique(turns)}


def _align(prompt: Prompt, tokens: np.ndarray, start: int, end: int) -> List[Tuple[int, int]]:
    """The tokens that cover characters [start, end) exactly, as one (first, last) pair or none."""
    first = tokens[prompt.start[tokens] == start]
    last = tokens[prompt.end[tokens] == end]
    return [(int(first[0]), int(last[-1]))] if len(first) and len(last) else []
