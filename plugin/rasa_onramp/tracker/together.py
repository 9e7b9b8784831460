"""Turns as a bot reads them, those of several domains in one pass: each row has a schema and an
adapter of its own.

The rows' encoded schemas differ in length; padding stands between schema and what was said, where
nobody looks, and is cut out of the scores again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Dict, List, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.dialogue import State, Turn
from rasa_onramp.tracker.answers import TurnPrediction, answer
from rasa_onramp.tracker.batch import Batch, collate
from rasa_onramp.tracker.decoding import Prepared
from rasa_onramp.tracker.model import Memory, Scores, StateTracker, Weights
from rasa_onramp.tracker.prompt import Prompt, build_prompt
from rasa_onramp.tracker.windows import windows

__all__ = ["AskedTurn", "track", "track_together"]


@dataclass(frozen=True)
class AskedTurn:
    """The last of `turns`, a user turn, is to be read, given the state before it.

    `offers` lets the tracker see which values the bot's own turns state (their spans).
    """

    domain: Prepared
    turns: Sequence[Turn]
    previous: State
    offers: bool = False


def track(
    tracker: StateTracker,
    domain: Prepared,
    turns: Sequence[Turn],
    previous: State,
    *,
    offers: bool = False,
) -> TurnPrediction:
    """Read one turn; see `AskedTurn`."""
    return track_together(tracker, [AskedTurn(domain, turns, previous, offers)])[0]


def track_together(tracker: StateTracker, asked: Sequence[AskedTurn]) -> List[TurnPrediction]:
    """What `track` makes of each turn, but for rounding. The domains may differ, and be any."""
    alike: Dict[object, List[int]] = {}
    for number, one in enumerate(asked):
        alike.setdefault(_shapes(_weights(tracker, one.domain)), []).append(number)
    found: Dict[int, TurnPrediction] = {}
    for numbers in alike.values():
        found.update(zip(numbers, _track(tracker, [asked[number] for number in numbers])))
    return [found[number] for number in range(len(asked))]


def _track(tracker: StateTracker, asked: Sequence[AskedTurn]) -> List[TurnPrediction]:
    """Of domains whose adapters have the same tensors."""
    prompts = [_prompt(tracker, one) for one in asked]
    with torch.inference_mode():
        said = collate(prompts, "said").to(tracker.device)
        domains = [one.domain for one in asked]
        if all(domain is domains[0] for domain in domains):
            memory, weights = domains[0].memory, _weights(tracker, domains[0])
        else:
            memory = _padded([domain.memory for domain in domains])
            weights = _stacked([_weights(tracker, domain) for domain in domains])
        scores = tracker.ask(memory, said, weights)
        schemas = memory.hidden.shape[1]
        return [
            answer(prompt, _of_row(scores, row, prompt, schemas), 0, one.previous)
            for row, (prompt, one) in enumerate(zip(prompts, asked))
        ]


def _prompt(tracker: StateTracker, one: AskedTurn) -> Prompt:
    schema, turns = one.domain.schema, one.turns
    first, _, _ = windows(tracker.tokens, len(schema), turns)[-1]
    return build_prompt(
        tracker.tokens,
        schema,
        turns,
        first=first,
        asked=(len(turns) - 1,),
        known=(one.previous.values,),
        offers=one.offers,
    )


def _weights(tracker: StateTracker, domain: Prepared) -> Weights:
    return tracker.weights if domain.weights is None else domain.weights


def _shapes(weights: Weights) -> Tuple[Tuple[str, torch.Size], ...]:
    return tuple(sorted((name, value.shape) for name, value in weights.items()))


def _stacked(weights: Sequence[Weights]) -> Weights:
    return {name: torch.stack([each[name] for each in weights]) for name in weights[0]}


def _padded(memories: Sequence[Memory]) -> Memory:
    """Memories of one row each as one."""
    batch = {
        field.name: _joined([getattr(memory.batch, field.name) for memory in memories], 1)
        for field in fields(Batch)
    }
    layers = range(len(memories[0].prefix))
    prefix = [
        (
            _joined([memory.prefix[layer][0] for memory in memories], 2),
            _joined([memory.prefix[layer][1] for memory in memories], 2),
        )
        for layer in layers
    ]
    hidden = _joined([memory.hidden for memory in memories], 1)
    return Memory(Batch(**batch), hidden, prefix, _joined([memory.bag for memory in memories], 1))


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """Rows one below the other, filled with zeros (role PAD is 0) to one length along `dim`."""
    longest = max(part.shape[dim] for part in parts)
    behind = parts[0].dim() - dim - 1
    return torch.cat(
        [F.pad(part, (*[0, 0] * behind, 0, longest - part.shape[dim])) for part in parts]
    )


def _of_row(scores: Scores, row: int, prompt: Prompt, schemas: int) -> Scores:
    """One row's scores over its prompt's tokens alone; `schemas` tokens were left for schemas."""
    own = len(prompt.schema)

    def cut(values: Tensor) -> Tensor:
        said = values[row : row + 1, :, schemas : schemas + len(prompt.ids) - own]
        return torch.cat([values[row : row + 1, :, :own], said], dim=2)

    return Scores(cut(scores.start), cut(scores.end), scores.requested[row : row + 1])
