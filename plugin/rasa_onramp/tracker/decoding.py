"""A domain made ready to be tracked, and dialogues followed turn by turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import torch

from rasa_onramp.dialogue import Dialogue, Schema, State, Turn
from rasa_onramp.tracker.answers import TurnPrediction, answer
from rasa_onramp.tracker.batch import collate
from rasa_onramp.tracker.model import Memory, StateTracker, Weights
from rasa_onramp.tracker.prompt import Prompt, build_prompt
from rasa_onramp.tracker.schema_prompt import SchemaPrompt, build_schema
from rasa_onramp.tracker.windows import windows

__all__ = ["Prepared", "TurnPrediction", "prepare", "track_dialogues"]


@dataclass(frozen=True)
class Prepared:
    """A domain ready to be tracked: its schema encoded once under its adapter."""

    schema: SchemaPrompt
    weights: Optional[Weights]
    memory: Memory


def prepare(tracker: StateTracker, schema: Schema, adapter: Optional[Weights] = None) -> Prepared:
    """Encode a schema, so that a turn costs only what was said. `adapter` None: zero-shot."""
    prompt_schema, adapter = build_schema(tracker.tokens, schema), tracker.placed(adapter)
    with torch.inference_mode():
        batch = collate([build_prompt(tracker.tokens, prompt_schema, ())]).to(tracker.device)
        return Prepared(prompt_schema, adapter, tracker.remember(batch, adapter))


def track_dialogues(
    tracker: StateTracker,
    schema: Schema,
    dialogues: Sequence[Dialogue],
    adapter: Optional[Weights] = None,
    *,
    offers: bool = False,
    history: Optional[int] = None,
    batch_size: int = 8,
    check: Callable[[], None] = lambda: None,
) -> List[Tuple[Optional[TurnPrediction], ...]]:
    """One prediction a user turn, the tracker's own states fed back.

    None where a turn has no state. Histories are encoded once a window and asked turn by turn,
    dialogues side by side. `history`: utterances that a turn is read with, its own counted (None:
    all that fit). `check` is called before each batch, and ends it by raising.
    """
    adapter = tracker.placed(adapter)
    order = sorted(
        range(len(dialogues)), key=lambda i: sum(len(t.text) for t in dialogues[i].turns)
    )
    results: Dict[int, Tuple[Optional[TurnPrediction], ...]] = {}
    for start in range(0, len(order), batch_size):
        check()
        chosen = order[start : start + batch_size]
        many = [dialogues[i].turns for i in chosen]
        found = _follow(tracker, schema, many, adapter, offers, history)
        results.update(zip(chosen, found))
    return [results[i] for i in range(len(dialogues))]


@dataclass(frozen=True)
class _View:
    """Turns [first, end) of dialogue `row`, of which `asked` are to be predicted."""

    row: int
    turns: Sequence[Turn]
    first: int
    end: int
    asked: Sequence[int]


def _views(
    tracker: StateTracker,
    schema_length: int,
    many: Sequence[Sequence[Turn]],
    history: Optional[int],
) -> List[List[_View]]:
    """The dialogues' first windows, their second ones, and so on."""
    found: List[List[_View]] = []
    for row, turns in enumerate(many):
        cuts = windows(tracker.tokens, schema_length, turns, history)
        for number, (first, start, end) in enumerate(cuts):
            asked = [
                i for i in range(start, end) if turns[i].is_user and turns[i].state is not None
            ]
            if number == len(found):
                found.append([])
            found[number].append(_View(row, turns, first, end, asked))
    return found


def _follow(
    tracker: StateTracker,
    schema: Schema,
    many: Sequence[Sequence[Turn]],
    adapter: Optional[Weights],
    offers: bool,
    history: Optional[int],
) -> List[Tuple[Optional[TurnPrediction], ...]]:
    prompt_schema = build_schema(tracker.tokens, schema)
    states = [State() for _ in many]
    found: List[Dict[int, TurnPrediction]] = [{} for _ in many]

    def prompt(view: _View, asked: Sequence[int]) -> Prompt:
        return build_prompt(
            tracker.tokens,
            prompt_schema,
            view.turns,
            first=view.first,
            end=view.end,
            asked=asked,
            known=[states[view.row].values] * len(asked),
            offers=offers,
        )

    for views in _views(tracker, len(prompt_schema), many, history):
        with torch.inference_mode():
            histories = collate([prompt(view, ()) for view in views]).to(tracker.device)
            memory = tracker.remember(histories, adapter)
            for step in range(max(len(view.asked) for view in views)):
                now = [prompt(view, view.asked[step : step + 1]) for view in views]
                scores = tracker.ask(memory, collate(now, "queries").to(tracker.device), adapter)
                for row, (view, asked) in enumerate(zip(views, now)):
                    if asked.asked:
                        prediction = answer(asked, scores, row, states[view.row])
                        found[view.row][asked.asked[0]] = prediction
                        states[view.row] = prediction.state
    return [
        tuple(found[row].get(i) for i, turn in enumerate(turns) if turn.is_user)
        for row, turns in enumerate(many)
    ]
