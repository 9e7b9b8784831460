"""What one episode adds to the gradient of the outer loop, where the algorithms differ.

MAML and its kin follow the query loss L after the K inner steps, MAML++ for a while after each:

    ∇ Σ_k v_k L(θ_k),   v as the algorithm's `importance`

with respect to θ, the rates, and what takes no inner steps. Reptile has no query; it takes

    θ − θ_K

for the gradient, so that a step along it moves θ to θ_K, and nothing else moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from rasa_onramp.metalearning.algorithms import Algorithm
from rasa_onramp.metalearning.inner_loop import (
    InnerLoop,
    SupportLoss,
    adapt,
    differentiable_steps,
)
from rasa_onramp.metalearning.lora import Adapter

__all__ = ["Practice", "QueryLoss", "meta_loss"]

#: A part of the query loss, of some weights.
QueryLoss = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Practice:
    """What an episode asks for: losses of any weights.

    `support` is what the inner steps are taken on; None if there is nothing to adapt to. The query
    loss is the sum of `query`.
    """

    support: Optional[SupportLoss]
    query: Sequence[QueryLoss]


def meta_loss(
    method: Algorithm,
    practice: Practice,
    adapter: Adapter,
    body: Sequence[Tensor],
    rates: Mapping[str, Tensor],
    how: InnerLoop,
    done: float,
    *,
    adapted: Optional[Callable[[Dict[str, Tensor]], None]] = None,
) -> Tensor:
    """A loss whose gradient is the meta-gradient; its value is the query loss.

    Reptile's value is the mean loss that the inner steps met. `adapted` is told θ_K, detached.

    Args:
        method: the algorithm.
        practice: the episode.
        adapter: θ, which takes the inner steps.
        body: what the query loss depends on and what takes no inner steps.
        rates: the inner rates.
        how: the inner loop, in the order that is in force.
        done: the share of training that is over.
    """
    if method.pooled:
        loss, theta = _towards_adapted(practice, adapter, rates, how)
    elif practice.support is None:
        theta = adapter()
        loss = _query_loss(practice, theta, body)
    else:
        judged: List[Tensor] = []
        path = differentiable_steps(adapter, practice.support, rates, how)
        for v, theta in zip(method.importance(done, how.steps), path):
            if v:
                judged.append(v * _query_loss(practice, theta, body))
        loss = torch.stack(judged).sum()
    if adapted is not None:
        adapted({name: value.detach() for name, value in theta.items()})
    return loss


def _query_loss(
    practice: Practice, weights: Mapping[str, Tensor], body: Sequence[Tensor]
) -> Tensor:
    """The query loss of `weights`.

    A part's gradient is taken as soon as its value is, so that the activations of one part at one
    step are held at a time.
    """
    leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
    inputs = [*leaves.values(), *body]
    value = 0.0
    slopes: Dict[int, Tensor] = {}
    for part in practice.query:
        loss = part(leaves)
        value += float(loss.detach())
        for number, slope in enumerate(torch.autograd.grad(loss, inputs, allow_unused=True)):
            if slope is not None:
                slopes[number] = slopes[number] + slope if number in slopes else slope
    outputs = [*weights.values(), *body]
    return _with_slopes(value, ((outputs[number], slope) for number, slope in slopes.items()))


def _towards_adapted(
    practice: Practice, adapter: Adapter, rates: Mapping[str, Tensor], how: InnerLoop
) -> Tuple[Tensor, Dict[str, Tensor]]:
    """Reptile's, and θ_K."""
    assert practice.support is not None
    met: List[float] = []
    theta = adapter()
    adapted = adapt(
        theta, practice.support, rates, how, after_step=lambda step, loss: met.append(loss)
    )
    slopes = ((theta[name], theta[name].detach() - value) for name, value in adapted.items())
    return _with_slopes(sum(met) / len(met), slopes), adapted


def _with_slopes(value: float, slopes: Iterable[Tuple[Tensor, Tensor]]) -> Tensor:
    """Something linear in its tensors, with this value and these gradients."""
    line = torch.stack([(tensor * slope).sum() for tensor, slope in slopes]).sum()
    return line + (value - line.detach())
