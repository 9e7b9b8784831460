"""Plain fine-tuning of the whole tracker: the baseline that meta-learning has to beat."""

from __future__ import annotations

import copy
import random
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import torch

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.metalearning.examples import Augmentation, Group, group_of
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.metalearning.schedule import risen_and_fallen
from rasa_onramp.tracker.model import StateTracker

__all__ = ["CLIP", "WEIGHT_DECAY", "FineTuning", "computing_seconds", "finetune", "support_groups"]

#: AdamW's weight decay, and the norm that its gradients have at most, here and for replies.
WEIGHT_DECAY = 0.01
CLIP = 1.0


@dataclass(frozen=True)
class FineTuning:
    """AdamW on all weights but the word embeddings, `epochs` over the support set.

    `steps` takes so many gradient steps instead, going round the support set; `seconds` as many as
    begin within that time by `computing_seconds`, one at least. The rate rises and falls over
    whatever is taken. `augmented`: each step reads its dialogues anew, carelessly typed or with
    other values as often as adapting does. `mixing` is how far to go from the checkpoint, 0, to
    where the steps lead, 1. Neither is of plain fine-tuning: they tell what adapting owes to them.
    Rate and epochs are those that suit it best on domains that no figure is of (docs/ablations.md).
    """

    rate: float = 3e-5
    epochs: int = 6
    dialogues_a_step: int = 1
    warmup: float = 0.1
    seed: int = 0
    steps: Optional[int] = None
    seconds: Optional[float] = None
    augmented: bool = False
    mixing: float = 1.0

    @property
    def as_settings(self) -> Dict[str, Any]:
        """Its values by name, for a results file; what plain fine-tuning doesn't do is left out."""
        plain, other = FineTuning(), ("steps", "seconds", "augmented", "mixing")
        return {k: v for k, v in asdict(self).items() if k not in other or v != getattr(plain, k)}


def computing_seconds(device: torch.device) -> float:
    """A clock of what this process computes: its processors' time, which other work on the machine
    doesn't lengthen. On a GPU, for which the processor only waits, it is the wall's.
    """
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def support_groups(
    tracker: StateTracker,
    schema: Schema,
    support: Sequence[Dialogue],
    *,
    offers: bool,
    seed: int,
    history: Optional[int] = None,
) -> List[Group]:
    """The support dialogues as they are, one a group; those without a user turn are left out.

    `history`: utterances that a turn is read with (None: all that fit).
    """
    rng = random.Random(seed)
    how = Augmentation(shuffle=True, offers=float(offers), history=history)
    found = [group_of(tracker.tokens, schema, [d], rng, how) for d in support]
    return [group for group in found if group is not None]


def finetune(
    tracker: StateTracker,
    support: Sequence[Group],
    how: FineTuning = FineTuning(),
    *,
    after_step: Optional[Callable[[int, float], None]] = None,
) -> StateTracker:
    """A fine-tuned copy of `tracker`. `support` has a group for each dialogue.

    `after_step` is called with each step's number and loss.
    """
    began = computing_seconds(tracker.device)
    tuned = copy.copy(tracker)
    tuned.encoder = copy.deepcopy(tracker.encoder)
    tuned.weights = {k: v.detach().clone().requires_grad_(True) for k, v in tracker.weights.items()}
    parameters = [*tuned.encoder.unfreeze().values(), *tuned.weights.values()]
    optimiser = torch.optim.AdamW(parameters, lr=how.rate, weight_decay=WEIGHT_DECAY, fused=True)
    total = float(how.steps or how.epochs * -(-len(support) // how.dialogues_a_step))
    for step, chosen in enumerate(_batches(support, how)):
        if how.seconds is not None and step:
            # the steps that there will be at the pace so far; the first is taken in any case
            total = step * how.seconds / (computing_seconds(tracker.device) - began)
        if step >= total:
            break
        turns = sum(group.turns for group in chosen)
        for group in optimiser.param_groups:
            group["lr"] = risen_and_fallen(how.rate, step, total, how.warmup)
        optimiser.zero_grad(set_to_none=True)
        losses = []
        for one in chosen:
            loss = group_loss(tuned, one) * (one.turns / turns)
            loss.backward()
            losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimiser.step()
        if after_step is not None:
            after_step(step, float(torch.stack(losses).sum()))
    tuned.encoder.requires_grad_(False)
    with torch.no_grad():
        for own, start in zip(tuned.encoder.parameters(), tracker.encoder.parameters()):
            own.copy_(start.lerp(own, how.mixing))
        tuned.weights = {
            name: tracker.weights[name].lerp(value, how.mixing)
            for name, value in tuned.weights.items()
        }
    return tuned


def _batches(support: Sequence[Group], how: FineTuning) -> Iterator[List[Group]]:
    """What the steps are taken on, round after round of the support; none without support."""
    rng = random.Random(how.seed)
    while support:
        order = rng.sample(range(len(support)), len(support))
        for start in range(0, len(order), how.dialogues_a_step):
            yield [support[i] for i in order[start : start + how.dialogues_a_step]]
