"""A support set to a domain's weights: the learned inner steps, as meta-training practised them."""

from __future__ import annotations

import random
import re
from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.metalearning.episodes import inner_groups, usable
from rasa_onramp.metalearning.examples import Augmentation, Group
from rasa_onramp.metalearning.inner_loop import (
    InnerLoop,
    adapt,
    recommended,
    setting_flaw,
    stretched,
)
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.tracker.model import StateTracker

__all__ = ["PARTS", "Adaptation", "adapt_to_support", "inner_batches"]


_LAYER = re.compile(r"encoder\.layer\.(\d+)\..*\.lora_")


def _height(name: str, layers: int) -> Optional[float]:
    """Where an update's layer lies, from 0 up to below 1; None for what is no update."""
    found = _LAYER.match(name)
    return int(found[1]) / layers if found else None


#: What may take inner steps, by name: told where a tensor's layer lies, None for what is no update:
#: the heads, and the vectors that go into the encoder. "heads" are both.
PARTS: Mapping[str, Callable[[Optional[float]], bool]] = {
    "all": lambda height: True,
    "heads": lambda height: height is None,
    "lora": lambda height: height is not None,
    "heads+lower": lambda height: height is None or height < 0.5,
    "heads+upper": lambda height: height is None or height >= 0.5,
}


@dataclass(frozen=True)
class Adaptation:
    """How to adapt at deployment.

    `runs` of `steps` inner steps each, on different readings of the support, are averaged (Wortsman
    et al. 2022, model soups: what is fine-tuned from one start lies in one basin). Where `steps`
    don't go round the support `epochs` times, as many are taken as do. They may exceed those
    meta-trained: the learned rates are then stretched over them, between the learned steps
    linearly. `rate_scale` multiplies them. `mixing` is how far to go from the initialisation,
    0, to where the steps lead, 1: the weights in between forget less of what the initialisation
    knows (WiSE-FT; Wortsman et al. 2022, https://arxiv.org/abs/2109.01903). `offers`: the bot marks
    the values that it states.
    `noise` and `new_values`: chances that a support dialogue is read carelessly typed, or with
    other values (noise.py), drawn anew at every step. `adapts` names which of PARTS takes steps.
    `learned_rates` off gives the heads one rate and the low-rank updates another, each the mean of
    the learned ones. `history`: utterances that a turn is read with, its own counted (None: all
    that fit); the domain is then to be tracked with as many.
    """

    steps: int = 8
    epochs: float = 0
    runs: int = 1
    dialogues_a_step: int = 2
    optimiser: str = "adam"
    rate_scale: float = 1.0
    mixing: float = 1.0
    offers: bool = False
    noise: float = 0.2
    new_values: float = 0.3
    adapts: str = "all"
    learned_rates: bool = True
    history: Optional[int] = None
    seed: int = 0

    def __post_init__(self) -> None:
        checked = ["steps", "runs", "dialogues_a_step", "optimiser", "rate_scale"]
        for name in checked if self.history is None else [*checked, "history"]:
            flaw = setting_flaw(name, getattr(self, name))
            if flaw is not None:
                raise ConfigError(f"adaptation: {flaw}")
        for name in ("mixing", "noise", "new_values"):
            share = getattr(self, name)
            if not isinstance(share, (int, float)) or not 0 <= share <= 1:
                raise ConfigError(f"adaptation: {name} is {share!r}; give a number from 0 to 1")
        if not isinstance(self.epochs, (int, float)) or not 0 <= self.epochs < inf:
            raise ConfigError(f"adaptation: epochs is {self.epochs!r}; give a number from 0")
        if self.adapts not in list(PARTS):  # what can't be hashed is in no mapping
            parts = ", ".join(PARTS)
            raise ConfigError(f"adaptation: adapts is {self.adapts!r}; choose one of {parts}")
        kinds = {"offers": bool, "learned_rates": bool, "seed": int}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                mend = "give true or false" if kind is bool else "give a whole number"
                raise ConfigError(f"adaptation: {name} is {value!r}; {mend}")

    @classmethod
    def of(cls, tracker: StateTracker, **changes: Any) -> Adaptation:
        """What the checkpoint recommends, with `changes` (those that are None are left out). With
        other `steps` these are all, whatever the support's size.

        Raises CheckpointError for a recommended setting that there is none of, or that can't be;
        ConfigError for such a change.
        """
        found = recommended(cls, tracker.card, "tracker.json")
        told = {k: v for k, v in changes.items() if v is not None}
        return replace(found, **({"epochs": 0, **told} if "steps" in told else told))

    def for_support(self, size: int) -> Adaptation:
        """The same with the steps that so many support dialogues take."""
        steps = ceil(self.epochs * size / self.dialogues_a_step)
        return replace(self, steps=max(self.steps, steps), epochs=0)

    @property
    def as_settings(self) -> Dict[str, Any]:
        """Its values by name, for a results file; each of its runs has a seed of its own."""
        return {name: value for name, value in asdict(self).items() if name != "seed"}

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
) -> Iterator[Group]:
    """What each step of a run is taken on, read when it is asked for; no steps if no support
    dialogue has a user turn.
    """
    vary = Augmentation(
        shuffle=True,
        offers=float(how.offers),
        noise=how.noise,
        new_values=how.new_values,
        history=how.history,
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
    CheckpointError if the tracker has no inner rates, ConfigError if it has nothing of what is to
    adapt.
    """
    how = how.for_support(len(support))
    if not usable(support):
        return dict(tracker.weights)
    adapting = _adapting(tracker, how)
    rates = _rates(tracker, how)
    loop = InnerLoop(steps=how.steps, order=1, optimiser=how.optimiser)

    def adapted_in(run: int) -> Dict[str, Tensor]:
        readings = inner_batches(tracker, schema, support, how, run=run)

        def loss_of(weights: Mapping[str, Tensor], step: int) -> Tensor:
            return group_loss(tracker, next(readings), {**tracker.weights, **weights})

        def told(step: int, loss: float) -> None:
            if after_step is not None:
                after_step(run * how.steps + step, loss)

        return adapt(adapting, loss_of, rates, loop, after_step=told)

    runs = [adapted_in(run) for run in range(how.runs)]
    mean = {name: torch.stack([one[name] for one in runs]).mean(0) for name in adapting}
    mixed = {name: torch.lerp(start, mean[name], how.mixing) for name, start in adapting.items()}
    return {**tracker.weights, **mixed}


def _adapting(tracker: StateTracker, how: Adaptation) -> Dict[str, Tensor]:
    """What takes inner steps."""
    rated = {name: value for name, value in tracker.weights.items() if name in tracker.rates}
    if not rated:
        raise CheckpointError(
            "this tracker was never meta-trained, so it has no rates to adapt with; "
            "run meta-train --stage meta on it, or use the shipped one"
        )
    layers = tracker.encoder.config.num_hidden_layers
    wanted = PARTS[how.adapts]
    found = {name: value for name, value in rated.items() if wanted(_height(name, layers))}
    if not found:
        raise ConfigError(f"this tracker has nothing of {how.adapts!r} to adapt; choose all")
    return found


def _rates(tracker: StateTracker, how: Adaptation) -> Dict[str, Tensor]:
    """A rate for each step of each tensor that has learned ones."""
    learned = tracker.rates
    if not how.learned_rates:
        kinds: Dict[bool, List[Tensor]] = {}
        for name, values in learned.items():
            kinds.setdefault(".lora_" in name, []).append(values)
        means = {kind: torch.cat(values).mean() for kind, values in kinds.items()}
        learned = {n: means[".lora_" in n].expand(len(v)) for n, v in learned.items()}
    return {name: stretched(v, how.steps) * how.rate_scale for name, v in learned.items()}
