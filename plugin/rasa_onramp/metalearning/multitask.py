"""Stage one: multi-task pretraining of the whole tracker on every training service."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Dict, Iterator, List, Optional, Sequence

import torch
from torch import Tensor

from rasa_onramp.metalearning.corpus import Task, draw, stream
from rasa_onramp.metalearning.examples import Augmentation, Group, group_of
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.pretraining import Batch, pretraining_steps
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.tracker.model import StateTracker

__all__ = ["MultitaskConfig", "pretrain"]

#: How examples are varied in training.
AUGMENTATION = Augmentation(
    forget=0.5,
    offers=0.5,
    shuffle=True,
    undescribed=0.1,
    elsewhere=0.15,
    noise=0.4,
    new_values=0.25,
)


@dataclass(frozen=True)
class MultitaskConfig:
    """Settings of stage one. Learning rates are AdamW's peaks; a batch is counted in tokens.

    A batch has groups of up to `dialogues_a_group` dialogues of one domain, which share its encoded
    schema: a schema is as long as several dialogues, so this halves the work.

    With `minutes`, training ends when either they or the steps are used up, and the schedule
    follows whichever is further on.
    """

    steps: int = 4000
    minutes: Optional[float] = None
    tokens_a_batch: int = 4096
    dialogues_a_group: int = 8
    encoder_rate: float = 3e-4
    heads_rate: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    save_every: int = 200


def pretrain(
    tracker: StateTracker,
    tasks: Sequence[Task],
    config: MultitaskConfig,
    run: Run,
    *,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Train encoder and heads in place, resuming from `run` if it holds a step.

    Word embeddings stay frozen: they are half of the parameters, and unseen domains use words
    that training never met. Precision is `learning_precision`'s. Several `workers` take a batch
    each and step together; the first saves and shows progress. Raises ConfigError if the loss stays
    no number.
    """
    parameters = _trainable(tracker)
    heads = list(tracker.weights.values())
    body = [p for p in parameters.values() if not any(p is h for h in heads)]
    optimiser = torch.optim.AdamW(
        [
            {"params": body, "lr": config.encoder_rate},
            {"params": heads, "lr": config.heads_rate},
        ],
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
        fused=True,  # one pass over the parameters; a fifth of a step on a CPU otherwise
    )

    def batch_of(groups: Sequence[Group]) -> Batch:
        asked = sum(group.turns for group in groups)
        # one after the other: a group's activations fit the cache better
        return Batch(asked, (group_loss(tracker, g) * (g.turns / asked) for g in groups))

    pretraining_steps(
        parameters,
        optimiser,
        lambda rng: map(batch_of, _batches(tracker, tasks, config, rng)),
        config,
        asdict(config),
        run,
        title="multi-task",
        counted="turns",
        log_every=10,
        progress=progress,
        workers=workers,
    )


def _trainable(tracker: StateTracker) -> Dict[str, Tensor]:
    found = {f"encoder/{name}": tensor for name, tensor in tracker.encoder.unfreeze().items()}
    for name, tensor in tracker.weights.items():
        found[f"weights/{name}"] = tensor.requires_grad_(True)
    return found


def _batches(
    tracker: StateTracker, tasks: Sequence[Task], config: MultitaskConfig, rng: random.Random
) -> Iterator[List[Group]]:
    """Groups without end, as many at a time as make a batch."""
    # long dialogues fill a batch by themselves; half of it is enough of one domain
    budget = config.tokens_a_batch // 2
    batch: List[Group] = []
    for task in stream(tasks, rng):
        schema, dialogues = draw(task, rng, config.dialogues_a_group)
        group = group_of(tracker.tokens, schema, dialogues, rng, AUGMENTATION, most_tokens=budget)
        if group is not None:
            batch.append(group)
        if sum(group.tokens for group in batch) >= config.tokens_a_batch:
            yield batch
            batch = []
