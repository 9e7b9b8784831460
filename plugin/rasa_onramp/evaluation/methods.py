"""What each method makes of a support set.

- zero-shot: the checkpoint as it is, the schema alone;
- finetune: plain fine-tuning of the same checkpoint;
- adapted: the learned inner steps;
- finetune-steps: plain fine-tuning for as many gradient steps as `adapted` takes;
- finetune-time: plain fine-tuning for as long as `adapted` computed on this very support set, just
  before and in the same process. A step that began in time is taken to its end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, List, Mapping, Optional, Sequence

from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support, inner_batches
from rasa_onramp.metalearning.finetuning import (
    FineTuning,
    computing_seconds,
    finetune,
    support_groups,
)
from rasa_onramp.tracker.model import StateTracker

__all__ = ["ALL_METHODS", "METHODS", "METHOD_NAMES", "Learned", "learn"]

#: What is measured unless told otherwise.
METHODS = ("zero-shot", "finetune", "adapted")

#: All of them, with what tables and curves call them.
METHOD_NAMES = {
    "zero-shot": "zero-shot (schema only)",
    "finetune": "plain fine-tuning",
    "adapted": "adapted",
    "finetune-steps": "plain fine-tuning, as many steps as adapting",
    "finetune-time": "plain fine-tuning, as long as adapting took",
}

ALL_METHODS = tuple(METHOD_NAMES)


@dataclass(frozen=True)
class Learned:
    """What tracks (`weights` instead of the tracker's own), and what making it took: by the clock
    of the wall, and by `computing_seconds`.
    """

    tracker: StateTracker
    weights: Optional[Mapping[str, Tensor]] = None
    seconds: float = 0.0
    steps: int = 0
    computed: float = 0.0


def learn(
    method: str,
    tracker: StateTracker,
    schema: Schema,
    support: Sequence[Dialogue],
    *,
    offers: bool,
    seed: int,
    changes: Mapping[str, Any],
    finetuning: FineTuning,
    taken: Mapping[str, float],
) -> Learned:
    """Learn from the support.

    `changes` are those of `adapted` to what the checkpoint recommends, None meaning none; `taken`
    the seconds that methods computed on the same support set.
    """
    if method == "zero-shot":
        return Learned(tracker)
    losses: List[float] = []

    def told(step: int, loss: float) -> None:
        losses.append(loss)

    how = Adaptation.of(tracker, offers=offers, seed=seed, **changes).for_support(len(support))
    began, computing = time.perf_counter(), computing_seconds(tracker.device)
    tuned, weights = tracker, None
    if method == "adapted":
        weights = adapt_to_support(tracker, schema, support, how, after_step=told)
    else:
        if finetuning.augmented:
            size = finetuning.dialogues_a_step
            steps = finetuning.epochs * -(-len(support) // size)
            read = replace(how, steps=steps, dialogues_a_step=size)
            groups = list(inner_batches(tracker, schema, support, read))
            finetuning = replace(finetuning, steps=steps, dialogues_a_step=1)
        else:
            groups = support_groups(
                tracker, schema, support, offers=offers, seed=seed, history=how.history
            )
        if method == "finetune-steps":
            finetuning = replace(finetuning, steps=how.all_steps)
        elif method == "finetune-time":
            left = taken["adapted"] - (computing_seconds(tracker.device) - computing)
            finetuning = replace(finetuning, seconds=left)
        tuned = finetune(tracker, groups, finetuning, after_step=told)
    computed = computing_seconds(tracker.device) - computing
    return Learned(tuned, weights, time.perf_counter() - began, len(losses), computed)
