"""From pointers to answers: what a turn's queries say, each read at its best place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Tuple

import torch
from torch import Tensor

from rasa_onramp.dialogue import DONTCARE, Span, State
from rasa_onramp.tracker.model import Scores
from rasa_onramp.tracker.prompt import Prompt
from rasa_onramp.tracker.roles import Role

__all__ = ["MAX_SPAN", "TurnPrediction", "answer"]

#: The longest span that is read as a value, in tokens.
MAX_SPAN = 24


@dataclass(frozen=True)
class TurnPrediction:
    """What the tracker makes of a user turn.

    `state` is the whole state after it, `changes` the slots it changed (an empty tuple: cleared),
    `spans` where new values stand in the user's own text. Confidences are probabilities:
    `slot_confidence` has one for every slot (of the answer given, "no change" included).
    """

    state: State
    changes: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)
    spans: Tuple[Span, ...] = ()
    slot_confidence: Mapping[str, float] = field(default_factory=dict)
    intent_confidence: float = 0.0
    action: Optional[str] = None
    action_confidence: float = 0.0


def answer(prompt: Prompt, scores: Scores, row: int, previous: State) -> TurnPrediction:
    """What the tracker says of the one turn that `prompt`, row `row` of `scores`, asks about."""
    schema, index = prompt.schema, prompt.asked[0]
    width = prompt.queries_a_turn
    start = torch.log_softmax(scores.start[row, :width].cpu(), -1)
    end = torch.log_softmax(scores.end[row, :width].cpu(), -1)
    requested = torch.sigmoid(scores.requested[row, :width].cpu())
    both = start + end
    spans = _best_spans(prompt, start, end)
    values = dict(previous.values)
    changes: Dict[str, Tuple[str, ...]] = {}
    marks: List[Span] = []
    confidence: Dict[str, float] = {}
    tracked = schema.schema.tracked_slots
    for column, slot in enumerate(schema.schema.slots):
        if slot.name not in tracked:
            confidence[slot.name] = 1.0
            continue
        places = [schema.none, schema.any, schema.clear, *schema.targets[column].values()]
        here = both[column, places]
        score, place = float(here.max()), places[int(here.argmax())]
        first = last = -1
        if spans is not None and not slot.categorical and spans[column][0] > score:
            score, first, last = spans[column]
        confidence[slot.name] = _probability(score, one_place=first < 0)
        if first >= 0:
            where = int(prompt.utterance[first])
            a, b = int(prompt.start[first]), int(prompt.end[last])
            if where == index:
                marks.append(Span(slot.name, a, b))
            value = prompt.turns[where].text[a:b]
        elif place == schema.none or (place == schema.clear and slot.name not in values):
            continue
        elif place == schema.clear:
            values.pop(slot.name)
            changes[slot.name] = ()
            continue
        elif place == schema.any:
            value = DONTCARE
        else:
            value = next(v for v in slot.values if schema.targets[column][v.lower()] == place)
        values[slot.name] = changes[slot.name] = (value,)
    intent, intent_confidence = _best_name(both[width - 2], schema.intents, schema.none)
    action, action_confidence = _best_name(both[width - 1], schema.actions, schema.none)
    asked_for = tuple(s.name for s, p in zip(schema.schema.slots, requested) if p > 0.5)
    return TurnPrediction(
        state=State(values, intent, asked_for),
        changes=changes,
        spans=tuple(marks),
        slot_confidence=confidence,
        intent_confidence=intent_confidence,
        action=action,
        action_confidence=action_confidence,
    )


def _probability(score: float, *, one_place: bool) -> float:
    # start and end of a one-place target say the same thing twice: their geometric mean
    return math.exp(score / 2 if one_place else score)


def _best_name(both: Tensor, places: Mapping[str, int], none: int) -> Tuple[Optional[str], float]:
    choices: List[Tuple[float, Optional[str]]] = [(float(both[none]), None)]
    choices += [(float(both[place]), name) for name, place in places.items()]
    score, name = max(choices, key=lambda c: c[0])
    return name, _probability(score, one_place=True)


def _best_spans(
    prompt: Prompt, start: Tensor, end: Tensor
) -> Optional[List[Tuple[float, int, int]]]:
    """For each slot the best (score, first token, last token) within one utterance, or None."""
    text = torch.from_numpy(prompt.role[: prompt.history] == Role.TEXT).nonzero().squeeze(1)
    if not len(text):
        return None
    utterance = torch.from_numpy(prompt.utterance)[text]
    slots = len(prompt.schema.schema.slots)
    start, end = start[:slots, text], end[:slots, text]
    best: List[Tuple[float, int, int]] = [(-math.inf, 0, 0)] * slots
    lowest = torch.finfo(start.dtype).min
    for length in range(min(MAX_SPAN, len(text))):
        stop = len(text) - length
        score = start[:, :stop] + end[:, length:]
        score = score.masked_fill(utterance[:stop] != utterance[length:], lowest)
        top, at = score.max(-1)
        for slot, (value, place) in enumerate(zip(top.tolist(), at.tolist())):
            if value > best[slot][0]:
                best[slot] = (value, int(text[place]), int(text[place + length]))
    return best
