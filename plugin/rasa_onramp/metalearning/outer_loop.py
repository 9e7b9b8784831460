"""The outer loop that every meta-training shares: the algorithm box of the papers.

    repeat
        for each of a batch of episodes
            θ_1 … θ_K, from θ and the rates α, by K inner steps on the support    (inner_loop.py)
            add the meta-gradient: of the query loss at θ_K w.r.t. θ and α, or as the
                algorithm has it                                                (meta_gradient.py)
        step θ and α by Adam                                               (episodic.py)

What an episode is and how its losses are taken is the caller's.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, Mapping, Optional, Protocol, Sequence

import torch
from torch import Tensor

from rasa_onramp.metalearning.algorithms import Algorithm
from rasa_onramp.metalearning.episodic import EpisodicConfig, episodic_steps
from rasa_onramp.metalearning.inner_loop import InnerLoop
from rasa_onramp.metalearning.lora import Adapter
from rasa_onramp.metalearning.meta_gradient import Practice, meta_loss
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.runs import Run

__all__ = ["OuterConfig", "learned_rates", "outer_loop"]


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


def outer_loop(
    method: Algorithm,
    adapter: Adapter,
    groups: Sequence[Dict[str, Any]],
    log_rates: Mapping[str, Tensor],
    draw: Callable[[random.Random, int], Optional[Practice]],
    config: OuterConfig,
    settings: Mapping[str, Any],
    run: Run,
    *,
    title: str,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Step everything in place, resuming from `run`. Several `workers` share out the episodes of a
    step, and average their meta-gradients.

    Args:
        method: the algorithm.
        adapter: what takes the inner steps.
        groups: of Adam: "parameters" (tensors by name, the adapter's among them) and their peak
            "rate".
        log_rates: the inner rates; learned where they require gradients.
        draw: draws an episode, given the order in force; None if there is nothing to learn from.
        config: how long, how to adapt, and the rates' own outer rate.
        settings: what is written down beside the run's state.
    """
    parameters = [p for group in groups for p in group["parameters"].values()]
    adapting = {id(parameter) for parameter in adapter.parameters()}
    body = [parameter for parameter in parameters if id(parameter) not in adapting]
    learned = {f"rates/{n}": p for n, p in log_rates.items() if p.requires_grad}
    rates_group = [{"parameters": learned, "rate": config.rates_outer_rate}] if learned else []

    def loss_of(rng: random.Random, done: float) -> Optional[Tensor]:
        how = InnerLoop(config.inner_steps, method.order_at(done), config.inner_optimiser)
        practice = draw(rng, how.order)
        if practice is None:
            return None
        rates = {name: rate.exp() for name, rate in log_rates.items()}
        return meta_loss(method, practice, adapter, body, rates, how, done)

    episodic_steps(
        [groups, rates_group],
        loss_of,
        config,
        settings,
        run,
        title=title,
        told="inner loss" if method.pooled else "query loss",
        progress=progress,
        workers=workers,
    )
