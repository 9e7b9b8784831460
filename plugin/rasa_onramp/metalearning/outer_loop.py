"""The outer loop that every meta-training shares: the algorithm box of the papers.

    repeat
        for each of a batch of episodes
            θ_1 … θ_K, from θ and the rates α, by K inner steps on the support    (inner_loop.py)
            add the meta-gradient: of the query loss at θ_K w.r.t. θ and α, or as the
                algorithm has it                                                (meta_gradient.py)
        step θ and α by Adam                                               (episodic.py)

What an episode is and how its losses are taken is the caller's. A `MetaLearner` is one model's part
in it: training.py has the tracker's, reply_training.py the replies', joint.py both in one loop.
"""

from __future__ import annotations

import random
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

import torch
from torch import Tensor

from rasa_onramp.metalearning.algorithms import Algorithm
from rasa_onramp.metalearning.episodic import EpisodicConfig, episodic_steps
from rasa_onramp.metalearning.inner_loop import InnerLoop
from rasa_onramp.metalearning.lora import Adapter
from rasa_onramp.metalearning.meta_gradient import Practice, meta_loss
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.runs import Run

__all__ = ["MetaLearner", "OuterConfig", "learned_rates", "outer_loop"]


class OuterConfig(EpisodicConfig, Protocol):
    """What the outer loop needs to know of a configuration."""

    @property
    def inner_steps(self) -> int: ...
    @property
    def inner_optimiser(self) -> str: ...
    @property
    def rates_outer_rate(self) -> float: ...


def learned_rates(
    start: Mapping[str, Tensor], known: Mapping[str, Tensor], device: torch.device, learn: bool
) -> Dict[str, Tensor]:
    """The logarithms of the inner rates, so that they stay positive; to be learned if `learn`.

    They go on from those `known` that have the shape of `start`'s.
    """
    rates = dict(start)
    if learn:
        rates.update({k: v for k, v in known.items() if k in start and v.shape == start[k].shape})
    return {k: v.log().to(device).requires_grad_(learn) for k, v in rates.items()}


class MetaLearner:
    """One model as the outer loop sees it.

    `method` is the algorithm, `adapter` what takes the inner steps. `groups` are Adam's:
    "parameters" (tensors by name, the adapter's among them) and their peak "rate". `log_rates` are
    the inner rates; learned where they require gradients. `config` says how it adapts, and how long
    it is trained.
    """

    def __init__(
        self,
        method: Algorithm,
        adapter: Adapter,
        groups: Sequence[Dict[str, Any]],
        log_rates: Mapping[str, Tensor],
        config: OuterConfig,
    ):
        self.method = method
        self.adapter = adapter
        self.groups = groups
        self.log_rates = log_rates
        self.config = config
        parameters = [p for group in groups for p in group["parameters"].values()]
        adapting = {id(parameter) for parameter in adapter.parameters()}
        self._body = [parameter for parameter in parameters if id(parameter) not in adapting]

    @property
    def loss_name(self) -> str:
        """What its loss is called."""
        return "inner loss" if self.method.pooled else "query loss"

    def inner_loop(self, done: float) -> InnerLoop:
        """How it adapts when the share `done` of training is over."""
        config = self.config
        return InnerLoop(config.inner_steps, self.method.order_at(done), config.inner_optimiser)

    def rates(self) -> Dict[str, Tensor]:
        """The inner rates, connected to their logarithms."""
        return {name: rate.exp() for name, rate in self.log_rates.items()}

    def loss(
        self,
        practice: Practice,
        done: float,
        *,
        adapted: Optional[Callable[[Dict[str, Tensor]], None]] = None,
    ) -> Tensor:
        """A loss whose gradient is the meta-gradient; see `meta_loss`."""
        how, rates = self.inner_loop(done), self.rates()
        return meta_loss(
            self.method, practice, self.adapter, self._body, rates, how, done, adapted=adapted
        )

    def clipped(self, prefix: str = "") -> List[List[Dict[str, Any]]]:
        """The groups of Adam, those of rates too, as they are clipped together; `prefix` stands
        before the tensors' names.
        """
        learned = {f"rates/{n}": p for n, p in self.log_rates.items() if p.requires_grad}
        rates: Dict[str, Any] = {"parameters": learned, "rate": self.config.rates_outer_rate}
        return [
            [
                {**group, "parameters": {prefix + n: p for n, p in group["parameters"].items()}}
                for group in together
            ]
            for together in (self.groups, [rates] if learned else [])
        ]


def outer_loop(
    learner: MetaLearner,
    draw: Callable[[random.Random, int], Optional[Practice]],
    settings: Mapping[str, Any],
    run: Run,
    *,
    title: str,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Step all that `learner` learns in place, as long as its configuration says, resuming from
    `run`. Several `workers` share out the episodes of a step, and average their meta-gradients.

    `draw` draws an episode, given the order in force; None if there is nothing to learn from.
    `settings` are written down beside the run's state.
    """

    def losses_of(rng: random.Random, done: float) -> Iterator[Tuple[str, Tensor]]:
        practice = draw(rng, learner.inner_loop(done).order)
        if practice is not None:
            yield learner.loss_name, learner.loss(practice, done)

    episodic_steps(
        learner.clipped(),
        losses_of,
        learner.config,
        settings,
        run,
        title=title,
        loss_names=[learner.loss_name],
        progress=progress,
        workers=workers,
    )
