"""Stage one of the reply generator: low-rank updates learned on all training domains at once."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Iterator, List, Optional, Sequence

import torch

from rasa_onramp.errors import ConfigError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.pretraining import Batch, pretraining_steps
from rasa_onramp.metalearning.reply_episodes import ReplyEpisode
from rasa_onramp.metalearning.runs import Run

__all__ = ["ReplyMultitaskConfig", "pretrain_replies"]


@dataclass(frozen=True)
class ReplyMultitaskConfig:
    """Settings. `rate` is AdamW's peak; a batch is counted in learned tokens.

    With `minutes`, training ends when either they or the steps are used up, and the schedule
    follows whichever is further on.
    """

    steps: int = 1000
    minutes: Optional[float] = None
    rank: int = 16
    learned_a_batch: int = 1024
    rate: float = 1e-3
    warmup: int = 20
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 0
    save_every: int = 50


def pretrain_replies(
    model: ReplyModel,
    episodes: Sequence[ReplyEpisode],
    config: ReplyMultitaskConfig,
    run: Run,
    *,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Train `model.weights` in place, resuming from `run` if it holds a step.

    Support and query dialogues are learned from alike: each was packed with other dialogues of its
    episode to copy from. Several `workers` share a batch and step together. Raises ConfigError if
    no sequence holds a reply to learn from, or the loss stays no number.
    """
    sequences = [s for e in episodes for s in (*e.support, *e.query) if s.learned.any()]
    if not sequences:
        raise ConfigError("the episodes hold no reply to learn from; pack others")
    if not model.weights:
        model.weights = model.initial_weights(config.rank, config.seed)
    weights = {name: value.requires_grad_(True) for name, value in model.weights.items()}
    optimiser = torch.optim.AdamW(
        list(weights.values()), lr=config.rate, weight_decay=config.weight_decay, fused=True
    )

    def batch_of(some: Sequence[Packed]) -> Batch:
        learned = [int(s.learned.sum()) for s in some]
        whole = sum(learned)
        # alone each, so without padding: faster on a CPU
        losses = (model.loss([s], weights) * (count / whole) for s, count in zip(some, learned))
        return Batch(sum(len(s.ids) for s in some), losses)

    part = config.learned_a_batch // workers.count
    pretraining_steps(
        weights,
        optimiser,
        lambda rng: map(batch_of, _batches(sequences, part, rng)),
        config,
        asdict(config),
        run,
        title="replies, multi-task",
        counted="tokens",
        progress=progress,
        workers=workers,
    )
    model.weights = {name: value.detach() for name, value in weights.items()}


def _batches(
    sequences: Sequence[Packed], learned: int, rng: random.Random
) -> Iterator[List[Packed]]:
    """Sequences without end, as many at a time as hold `learned` learned tokens."""
    batch: List[Packed] = []
    while True:
        for sequence in rng.sample(list(sequences), len(sequences)):
            batch.append(sequence)
            if sum(int(s.learned.sum()) for s in batch) >= learned:
                yield batch
                batch = []
