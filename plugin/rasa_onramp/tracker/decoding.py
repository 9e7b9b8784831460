"""From pointers to states: the best answer of each query, and turns followed one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, Span, State, Turn
from rasa_onramp.tracker.batch import collate
from rasa_onramp.tracker.model import Memory, Scores, StateTracker, Weights
from rasa_onramp.tracker.prompt import (
    Prompt,
    Role,
    SchemaPrompt,
    build_prompt,
    build_schema,
    windows,
)

__all__ = [
    "Prepared",
    "TurnPrediction",
    "prepare",
    "track",
    "track_dialogue",
    "track_dialogues",
]

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


@dataclass(frozen=True)
class Prepared:
    """A domain ready to be tracked: its schema encoded once under its adapter."""

    schema: SchemaPrompt
    weights: Optional[Weights]
    memory: Memory


def prepare(tracker: StateTracker, schema: Schema, adapter: Optional[Weights] = None) -> Prepared:
    """Encode a schema, so that a turn costs only what was said. `adapter` None: zero-shot."""
    prompt_schema = build_schema(tracker.tokens, schema)
    with torch.inference_mode():
        batch = collate([build_prompt(tracker.tokens, prompt_schema, ())]).to(tracker.device)
        return Prepared(prompt_schema, adapter, tracker.remember(batch, adapter))


def track(
    tracker: StateTracker,
    domain: Prepared,
    turns: Sequence[Turn],
    previous: State,
    *,
    offers: bool = False,
) -> TurnPrediction:
    """Read the last of `turns`, a user turn, given the state before it.

    `offers` lets the tracker see which values the bot's own turns state (their spans).
    """
    asked = len(turns) - 1
    first, _, _ = windows(tracker.tokens, len(domain.schema), turns)[-1]
    prompt = build_prompt(
        tracker.tokens,
        domain.schema,
        turns,
        first=first,
        asked=(asked,),
        known=(previous.values,),
        offers=offers,
    )
    with torch.inference_mode():
        said = collate([prompt], "said").to(tracker.device)
        scores = tracker.ask(domain.memory, said, domain.weights)
    return _decode(prompt, _Row(scores, 0, prompt), asked, previous)


def track_dialogue(
    tracker: StateTracker,
    schema: Schema,
    dialogue: Dialogue,
    adapter: Optional[Weights] = None,
    *,
    offers: bool = False,
) -> Tuple[Optional[TurnPrediction], ...]:
    """Predictions for a whole dialogue, see `track_dialogues`."""
    return track_dialogues(tracker, schema, [dialogue], adapter, offers=offers)[0]


def track_dialogues(
    tracker: StateTracker,
    schema: Schema,
    dialogues: Sequence[Dialogue],
    adapter: Optional[Weights] = None,
    *,
    offers: bool = False,
    batch_size: int = 8,
) -> List[Tuple[Optional[TurnPrediction], ...]]:
    """One prediction a user turn, the tracker's own states fed back; None where a turn has no state.

    Histories are encoded once a window and asked turn by turn, dialogues side by side.
    """
    order = sorted(
        range(len(dialogues)), key=lambda i: sum(len(t.text) for t in dialogues[i].turns)
    )
    results: Dict[int, Tuple[Optional[TurnPrediction], ...]] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        found = _follow(tracker, schema, [dialogues[i].turns for i in chosen], adapter, offers)
        results.update(zip(chosen, found))
    return [results[i] for i in range(len(dialogues))]


def _follow(
    tracker: StateTracker,
    schema: Schema,
    many: Sequence[Sequence[Turn]],
    adapter: Optional[Weights],
    offers: bool,
) -> List[Tuple[Optional[TurnPrediction], ...]]:
    prompt_schema = build_schema(tracker.tokens, schema)
    states = [State() for _ in many]
    found: List[Dict[int, TurnPrediction]] = [{} for _ in many]
    cuts = [windows(tracker.tokens, len(prompt_schema), turns) for turns in many]
    for number in range(max((len(c) for c in cuts), default=0)):
        rows = [r for r, c in enumerate(cuts) if number < len(c)]
        views = [cuts[r][number] for r in rows]
        asked = [
            [i for i in range(a, e) if many[r][i].is_user and many[r][i].state is not None]
            for r, (_, a, e) in zip(rows, views)
        ]

        def prompts(step: Optional[int]) -> List[Prompt]:
            built = []
            for r, (first, _, end), turns in zip(rows, views, asked):
                ask = turns[step : step + 1] if step is not None else []
                known = [states[r].values] * len(ask)
                built.append(
                    build_prompt(
                        tracker.tokens,
                        prompt_schema,
                        many[r],
                        first=first,
                        end=end,
                        asked=ask,
                        known=known,
                        offers=offers,
                    )
                )
            return built

        with torch.inference_mode():
            memory = tracker.remember(collate(prompts(None), "history").to(tracker.device), adapter)
            for step in range(max((len(a) for a in asked), default=0)):
                now = prompts(step)
                queries = collate(now, "queries").to(tracker.device)
                scores = tracker.ask(memory, queries, adapter)
                for row, (r, prompt) in enumerate(zip(rows, now)):
                    if not prompt.asked:
                        continue
                    index = prompt.asked[0]
                    prediction = _decode(prompt, _Row(scores, row, prompt), index, states[r])
                    found[r][index] = prediction
                    states[r] = prediction.state
    return [
        tuple(found[r].get(i) for i, turn in enumerate(turns) if turn.is_user)
        for r, turns in enumerate(many)
    ]


class _Row:
    """One prompt's scores as log-probabilities on the CPU."""

    def __init__(self, scores: Scores, row: int, prompt: Prompt):
        width = prompt.queries_a_turn
        self.start = torch.log_softmax(scores.start[row, :width].cpu(), -1)
        self.end = torch.log_softmax(scores.end[row, :width].cpu(), -1)
        self.requested = torch.sigmoid(scores.requested[row, :width].cpu())


def _decode(prompt: Prompt, row: _Row, index: int, previous: State) -> TurnPrediction:
    schema = prompt.schema
    names = [slot.name for slot in schema.schema.slots]
    both = row.start + row.end
    spans = _best_spans(prompt, row)
    values = dict(previous.values)
    changes: Dict[str, Tuple[str, ...]] = {}
    marks: List[Span] = []
    confidence: Dict[str, float] = {}
    for column, slot in enumerate(schema.schema.slots):
        choices = [
            (float(both[column, schema.none]), "none", 0, 0),
            (float(both[column, schema.any]), "any", 0, 0),
            (float(both[column, schema.clear]), "clear", 0, 0),
        ]
        if slot.categorical:
            for value, place in zip(slot.values, schema.targets[column].values()):
                choices.append((float(both[column, place]), value, 0, 0))
        elif spans is not None:
            score, first, last = spans[column]
            choices.append((score, "span", first, last))
        score, kind, first, last = max(choices, key=lambda c: c[0])
        confidence[slot.name] = _probability(score, slot.categorical or kind != "span")
        if kind == "none" or (kind == "clear" and slot.name not in values):
            continue
        if kind == "clear":
            values.pop(slot.name)
            changes[slot.name] = ()
            continue
        if kind == "span":
            where = int(prompt.utterance[first])
            a, b = int(prompt.start[first]), int(prompt.end[last])
            value = prompt.turns[where].text[a:b]
            if where == index:
                marks.append(Span(slot.name, a, b))
        else:
            value = DONTCARE if kind == "any" else kind
        values[slot.name] = changes[slot.name] = (value,)
    width = len(names)
    intent, intent_p = _best_name(both[width], schema.intents, schema.none)
    action, action_p = _best_name(both[width + 1], schema.actions, schema.none)
    requested = tuple(n for c, n in enumerate(names) if row.requested[c] > 0.5)
    return TurnPrediction(
        state=State(values, intent, requested),
        changes=changes,
        spans=tuple(marks),
        slot_confidence=confidence,
        intent_confidence=intent_p,
        action=action,
        action_confidence=action_p,
    )


def _probability(score: float, one_place: bool) -> float:
    # start and end of a one-place target say the same thing twice: their geometric mean
    return math.exp(score / 2 if one_place else score)


def _best_name(both: Tensor, places: Mapping[str, int], none: int) -> Tuple[Optional[str], float]:
    choices = [(float(both[none]), None)] + [(float(both[p]), n) for n, p in places.items()]
    score, name = max(choices, key=lambda c: c[0])
    return name, _probability(score, True)


def _best_spans(prompt: Prompt, row: _Row) -> Optional[List[Tuple[float, int, int]]]:
    """For each slot the best (score, first token, last token) within one utterance, or None."""
    text = torch.from_numpy(prompt.role[: prompt.history] == Role.TEXT).nonzero().squeeze(1)
    if not len(text):
        return None
    utterance = torch.from_numpy(prompt.utterance)[text]
    slots = len(prompt.schema.schema.slots)
    start, end = row.start[:slots, text], row.end[:slots, text]
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
