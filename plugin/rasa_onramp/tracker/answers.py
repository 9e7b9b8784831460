"""From pointers to answers: what a turn's queries say, each read at its best place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from rasa_onramp.dialogue import DONTCARE, Span, State
from rasa_onramp.tracker.model import Scores
from rasa_onramp.tracker.prompt import Prompt
from rasa_onramp.tracker.roles import Role
from rasa_onramp.tracker.tokens import symbols_in

__all__ = ["MAX_SPAN", "TurnPrediction", "answer"]

#: The longest span that is read as a value, in tokens.
MAX_SPAN = 24

#: What a span loses for each token after its first: where a value was said twice, or corrected, it
#: isn't read from the one's start to the other's end. Tuned on SGD dev's unseen services.
LENGTH_COST = 0.1

#: Added to the intent so far, to the sum of its start's and its end's log probability; tuned
#: likewise.
STAYING = 1.5


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
    schema, width = prompt.schema, prompt.queries_a_turn
    start = torch.log_softmax(scores.start[row, :width].cpu(), -1)
    end = torch.log_softmax(scores.end[row, :width].cpu(), -1)
    requested = torch.sigmoid(scores.requested[row, :width].cpu())
    values = dict(previous.values)
    changes: Dict[str, Tuple[str, ...]] = {}
    marks: List[Span] = []
    confidence: Dict[str, float] = {}
    readings = _exclusive(_readings(prompt, start, end))
    for slot, reading in zip(schema.schema.slots, readings):
        confidence[slot.name] = reading.confidence
        if reading.mark is not None:
            marks.append(Span(slot.name, *reading.mark))
        if reading.value:
            values[slot.name] = changes[slot.name] = (reading.value,)
        elif reading.value is not None and slot.name in values:
            values.pop(slot.name)
            changes[slot.name] = ()
    both = start + end
    intent, intent_confidence = _best_name(
        both[width - 2], schema.intents, schema.none, previous.active_intent
    )
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


@dataclass(frozen=True)
class _Reading:
    """What one slot's query says: no change (`value` None), emptied (""), or a value.

    `mark`: the characters of the user's own turn that the value was read from; `tokens`: the first
    and the last token it was read from; `margin`: by how much new values are likelier than none
    (log odds).
    """

    confidence: float = 1.0
    value: Optional[str] = None
    mark: Optional[Tuple[int, int]] = None
    tokens: Optional[Tuple[int, int]] = None
    margin: float = 0.0


def _exclusive(readings: Iterable[_Reading]) -> List[_Reading]:
    """The readings, but that no word is two slots' new value: the surer one keeps it.

    Every slot is asked by itself, so a number that could be either of two slots' is often read for
    both.
    """
    found = list(readings)
    taken: List[Tuple[int, int]] = []
    for place in sorted(range(len(found)), key=lambda i: -found[i].margin):
        tokens = found[place].tokens
        if tokens is None:
            continue
        if any(tokens[0] <= last and first <= tokens[1] for first, last in taken):
            found[place] = _Reading(1 - found[place].confidence)
        else:
            taken.append(tokens)
    return found


def _readings(prompt: Prompt, start: Tensor, end: Tensor) -> Iterator[_Reading]:
    """One a slot, in schema order, of log probabilities (queries, tokens)."""
    schema, both = prompt.schema, start + end
    text = np.flatnonzero(prompt.role[: prompt.history] == Role.TEXT).tolist()
    spans = _best_spans(prompt, start, end, text) if text else []
    tracked = schema.schema.tracked_slots
    for column, slot in enumerate(schema.schema.slots):
        if slot.name not in tracked:
            yield _Reading()
            continue
        places = (schema.none, schema.any, schema.clear)
        kept, place = max((float(both[column, p]), p) for p in places)
        listed = list(schema.targets[column].values())
        new = _together(start[column], end[column], listed if slot.categorical else text)
        # all new values together against no new one: several that are likely make one likelier
        if new > kept and not slot.categorical:
            _, first, last = spans[column]
            score = float(start[column, first] + end[column, last])
            yield _span_reading(prompt, first, last, score, new - kept)
            continue
        if new > kept:
            place = max(listed, key=both[column].__getitem__)
        # start and end of one place say the same thing twice
        likely = min(1.0, math.exp(float(both[column, place]) / 2))
        if place in places:
            value = {schema.none: None, schema.any: DONTCARE, schema.clear: ""}[place]
        else:
            value = next(v for v in slot.values if schema.targets[column][v.lower()] == place)
        yield _Reading(likely, value)


def _span_reading(prompt: Prompt, first: int, last: int, score: float, margin: float) -> _Reading:
    """The words of tokens [first, last], marked if they are the asked turn's."""
    where = int(prompt.utterance[first])
    a, b = int(prompt.start[first]), int(prompt.end[last])
    mark = (a, b) if where == prompt.asked[0] else None
    likely = min(1.0, math.exp(score))
    return _Reading(likely, prompt.turns[where].text[a:b], mark, (first, last), margin)


def _together(start: Tensor, end: Tensor, places: Sequence[int]) -> float:
    """Log of the probability of starting, times that of ending, at any of `places`."""
    if not places:
        return -math.inf
    return float(start[places].logsumexp(0) + end[places].logsumexp(0))


def _best_name(
    both: Tensor, places: Mapping[str, int], none: int, staying: Optional[str] = None
) -> Tuple[Optional[str], float]:
    """The likeliest name, or None, and its probability; the one that is `staying` is preferred."""
    choices: Dict[Optional[str], float] = {None: float(both[none])}
    choices.update((name, float(both[place])) for name, place in places.items())
    biased = {**choices, **({staying: choices[staying] + STAYING} if staying in places else {})}
    name = max(biased, key=lambda each: biased[each])
    return name, min(1.0, math.exp(choices[name] / 2))


def _best_spans(
    prompt: Prompt, start: Tensor, end: Tensor, text: List[int]
) -> List[Tuple[float, int, int]]:
    """For each slot the best (score, first token, last token) within one stretch."""
    stretch = torch.tensor(_stretches(prompt, text))
    slots = len(prompt.schema.schema.slots)
    start, end = start[:slots, text], end[:slots, text]
    best: List[Tuple[float, int, int]] = [(-math.inf, 0, 0)] * slots
    lowest = torch.finfo(start.dtype).min
    for length in range(min(MAX_SPAN, len(text))):
        stop = len(text) - length
        score = start[:, :stop] + end[:, length:] - LENGTH_COST * length
        score = score.masked_fill(stretch[:stop] != stretch[length:], lowest)
        top, at = score.max(-1)
        for slot, (value, place) in enumerate(zip(top.tolist(), at.tolist())):
            if value > best[slot][0]:
                best[slot] = (value, text[place], text[place + length])
    return best


def _stretches(prompt: Prompt, text: List[int]) -> List[int]:
    """For each of the tokens `text` a number, that of the stretch it is in: no value is read across
    the end of an utterance, or across an emoji that the tokenizer reads as a blank.
    """
    utterance = prompt.utterance[text].tolist()
    if not any(symbols_in(prompt.turns[where].text) for where in set(utterance)):
        return utterance
    start, end = prompt.start[text].tolist(), prompt.end[text].tolist()
    found = [0] * len(text)
    for n in range(1, len(text)):
        here = utterance[n] == utterance[n - 1]
        between = prompt.turns[utterance[n]].text[end[n - 1] : start[n]] if here else ""
        found[n] = found[n - 1] + (not here or bool(symbols_in(between)))
    return found
