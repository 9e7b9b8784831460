"""A support set to a domain's weights: the learned inner steps, as meta-training practised them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import CheckpointError
from rasa_onramp.metalearning.episodes import inner_groups
from rasa_onramp.metalearning.examples import Augmentation, Group
from rasa_onramp.metalearning.inner_loop import InnerLoop, adapt, stretched
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.tracker.model import StateTracker

__all__ = ["Adaptation", "adapt_to_support", "inner_batches"]


#: Support dialogues from which on all recommended inner steps are taken.
FULL_SUPPORT = 5


@dataclass(frozen=True)
class Adaptation:
    """How to adapt at deployment.

    `runs` of `steps` inner steps each, on different readings of the support, are averaged (Wortsman
    et al. 2022, model soups: what is fine-tuned from one start lies in one basin). `steps` may
    exceed those meta-trained: the learned rates are then stretched over them, between the learned
    steps linearly. `rate_scale` multiplies them. `offers`: the bot marks the values that it states.
    `noise` and `new_values`: chances that a support dialogue is read carelessly typed, or with
    other values (noise.py), drawn anew at every step.
    """

    steps: int = 8
    runs: int = 1
    dialogues_a_step: int = 2
    optimiser: str = "adam"
    rate_scale: float = 1.0
    offers: bool = False
    noise: float = 0.2
    new_values: float = 0.3
    seed: int = 0

    @classmethod
    def of(cls, tracker: StateTracker, support: int, **changes: Any) -> Adaptation:
        """What the checkpoint recommends for so many support dialogues.

        Below `FULL_SUPPORT` it takes fewer steps, so that no dialogue is read more often than it
        would be then: one or two are soon learned by heart. `changes` (those that are None are left
        out) are taken as they are.
        """
        how = cls(**dict(tracker.card.get("adaptation", {})))  # type: ignore[call-overload]
        steps = max(1, math.ceil(how.steps * min(1.0, support / FULL_SUPPORT)))
        given = {k: v for k, v in changes.items() if v is not None}
        return replace(replace(how, steps=steps), **given)

    @property
    def all_steps(self) -> int:
        """The inner steps of all runs."""
        return self.steps * self.runs


def inner_batches(
    tracker: StateTracker,
    schema: Schema,
    support: Sequence[Dialogue],
    how: Adaptation,
    *,
    run: int = 0,
) -> List[Group]:
    """What each step of a run is taken on; no steps if no support dialogue has a user turn."""
    vary = Augmentation(
        shuffle=True, offers=float(how.offers), noise=how.noise, new_values=how.new_values
    )
    return inner_groups(
        tracker.tokens,
        schema,
        support,
        random.Random(how.seed + 1_000_003 * run),
        vary,
        steps=how.steps,
        size=how.dialogues_a_step,
    )


def adapt_to_support(
    tracker: StateTracker,
    schema: Schema,
    support: Sequence[Dialogue],
    how: Adaptation,
    *,
    after_step: Optional[Callable[[int, float], None]] = None,
) -> Dict[str, Tensor]:
    """The domain's weights. An empty support set gives the initialisation itself (zero-shot).

    `after_step` is called with each step's number, of all runs', and support loss. Raises
    CheckpointError if the tracker has no inner rates.
    """
    readings = [inner_batches(tracker, schema, support, how, run=n) for n in range(how.runs)]
    if not readings[0]:
        return dict(tracker.weights)
    adapting = {k: v for k, v in tracker.weights.items() if k in tracker.rates}
    if not adapting:
        raise CheckpointError(
            "this tracker was never meta-trained, so it has no rates to adapt with; "
            "run meta-train --stage meta on it, or use the shipped one"
        )
    rates = {k: stretched(v, how.steps) * how.rate_scale for k, v in tracker.rates.items()}
    loop = InnerLoop(steps=how.steps, order=1, optimiser=how.optimiser)

    def adapted_in(run: int) -> Dict[str, Tensor]:
        def loss_of(weights: Mapping[str, Tensor], step: int) -> Tensor:
            return group_loss(tracker, readings[run][step], {**tracker.weights, **weights})

        def told(step: int, loss: float) -> None:
            if after_step is not None:
                after_step(run * how.steps + step, loss)

        return adapt(adapting, loss_of, rates, loop, after_step=told)

    runs = [adapted_in(run) for run in range(how.runs)]
    mean = {name: torch.stack([one[name] for one in runs]).mean(0) for name in adapting}
    return {**tracker.weights, **mean}
