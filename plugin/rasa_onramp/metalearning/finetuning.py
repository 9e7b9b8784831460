"""Plain fine-tuning of the whole tracker: the baseline that meta-learning has to beat."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import List, Sequence

import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.metalearning.examples import Augmentation, Group, group_of
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.tracker.model import StateTracker

__all__ = ["FineTuning", "finetune", "support_groups"]


@dataclass(frozen=True)
class FineTuning:
    """AdamW on all weights but the word embeddings, `epochs` over the support set."""

    rate: float = 1e-4
    epochs: int = 6
    dialogues_a_step: int = 1
    warmup: float = 0.1
    seed: int = 0


def support_groups(
    tracker: StateTracker, schema: Schema, support: Sequence[Dialogue], *, offers: bool, seed: int
) -> List[Group]:
    """The support dialogues as they are, one a group; those without a user turn are left out."""
    rng = random.Random(seed)
    how = Augmentation(shuffle=True, offers=float(offers))
    found = [group_of(tracker.tokens, schema, [d], rng, how) for d in support]
    return [group for group in found if group is not None]


def finetune(
    tracker: StateTracker, support: Sequence[Group], how: FineTuning = FineTuning()
) -> StateTracker:
    """A fine-tuned copy of `tracker`. `support` has a group for each dialogue."""
    tuned = copy.copy(tracker)
    tuned.encoder = copy.deepcopy(tracker.encoder).requires_grad_(True)
    tuned.encoder.embeddings["word_embeddings"].requires_grad_(False)
    tuned.weights = {k: v.detach().clone().requires_grad_(True) for k, v in tracker.weights.items()}
    parameters: List[Tensor] = [p for p in tuned.encoder.parameters() if p.requires_grad]
    parameters += tuned.weights.values()
    optimiser = torch.optim.AdamW(parameters, lr=how.rate, weight_decay=0.01, fused=True)
    rng = random.Random(how.seed)
    size = how.dialogues_a_step
    total = how.epochs * -(-len(support) // size)
    step = 0
    for _ in range(how.epochs):
        order = rng.sample(range(len(support)), len(support))
        for start in range(0, len(order), size):
            chosen = [support[i] for i in order[start : start + size]]
            turns = sum(group.turns for group in chosen)
            rise = min(1.0, (step + 1) / max(1.0, how.warmup * total))
            for group in optimiser.param_groups:
                group["lr"] = how.rate * rise * (1 - step / total)
            optimiser.zero_grad(set_to_none=True)
            for one in chosen:
                (group_loss(tuned, one) * (one.turns / turns)).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            step += 1
    tuned.encoder.requires_grad_(False)
    tuned.weights = {k: v.detach() for k, v in tuned.weights.items()}
    return tuned
