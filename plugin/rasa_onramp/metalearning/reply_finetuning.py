"""Plain fine-tuning of the reply model's updates: the baseline that meta-learning has to beat."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Dict, Sequence

import torch
from torch import Tensor

from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed
from rasa_onramp.metalearning.finetuning import CLIP, WEIGHT_DECAY
from rasa_onramp.metalearning.schedule import risen_and_fallen

__all__ = ["ReplyFineTuning", "finetune_replies"]


@dataclass(frozen=True)
class ReplyFineTuning:
    """AdamW on the low-rank updates, `epochs` over the support set, a dialogue a step."""

    rate: float = 2e-4
    epochs: int = 2
    warmup: float = 0.1
    seed: int = 0


def finetune_replies(
    model: ReplyModel, support: Sequence[Packed], how: ReplyFineTuning = ReplyFineTuning()
) -> Dict[str, Tensor]:
    """The domain's updates, from the model's initial ones."""
    usable = [sequence for sequence in support if sequence.learned.any()]
    weights = {k: v.detach().clone().requires_grad_(True) for k, v in model.weights.items()}
    optimiser = torch.optim.AdamW(list(weights.values()), lr=how.rate, weight_decay=WEIGHT_DECAY)
    rng = random.Random(how.seed)
    total, step = how.epochs * len(usable), 0
    for _ in range(how.epochs):
        for sequence in rng.sample(usable, len(usable)):
            for group in optimiser.param_groups:
                group["lr"] = risen_and_fallen(how.rate, step, total, how.warmup)
            optimiser.zero_grad(set_to_none=True)
            model.loss([sequence], weights).backward()
            torch.nn.utils.clip_grad_norm_(list(weights.values()), CLIP)
            optimiser.step()
            step += 1
    return {name: value.detach() for name, value in weights.items()}
