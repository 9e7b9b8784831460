"""A toy problem, and the inner loop on it in plain autograd, to compare ours with."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, Mapping

import torch
from torch import Tensor

__all__ = ["STEPS", "Toy", "Weights", "by_hand", "leaves"]

Weights = Mapping[str, Tensor]
STEPS = 3


class Toy:
    """Two tensors, a support loss a step and a query loss, none of them quadratic."""

    def __init__(self, seed: int = 7) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.start = {"a.weight": draw(3, 2), "b.bias": draw(3)}
        self.inputs = [draw(5, 2) for _ in range(STEPS + 1)]
        self.wanted = [draw(5, 3) for _ in range(STEPS + 1)]
        self.rates = {
            name: torch.rand(STEPS, generator=generator, dtype=torch.float64) * 0.2 + 0.02
            for name in self.start
        }

    def loss(self, weights: Weights, step: int) -> Tensor:
        found = torch.tanh(self.inputs[step] @ weights["a.weight"].T + weights["b.bias"])
        return (found - self.wanted[step]).pow(2).mean() + weights["a.weight"].pow(4).mean()

    def query(self, weights: Weights) -> Tensor:
        return self.loss(weights, STEPS)


def sgd(moments: Dict, name: str, gradient: Tensor) -> Tensor:
    return gradient


def adam(moments: Dict, name: str, gradient: Tensor) -> Tensor:
    """Kingma & Ba 2015 with the usual betas.

    Bias is corrected as at the end of their section 2, where epsilon isn't corrected; so does
    `higher`. torch.optim's other way differs by some 1e-7.
    """
    step, mean, square = moments.get(name, (0, 0.0, 0.0))
    step, mean = step + 1, 0.9 * mean + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient * gradient
    moments[name] = (step, mean, square)
    return (1 - 0.999**step) ** 0.5 / (1 - 0.9**step) * mean / (square.sqrt() + 1e-8)


UPDATES = {"sgd": sgd, "adam": adam}


def by_hand(
    start: Weights,
    loss: Callable[[Weights, int], Tensor],
    rates: Weights,
    *,
    order: int,
    optimiser: str,
    steps: int = STEPS,
) -> Iterator[Dict[str, Tensor]]:
    """The weights after each inner step."""
    weights, moments = dict(start), {}  # type: ignore[var-annotated]
    for step in range(steps):
        gradients = torch.autograd.grad(
            loss(weights, step), list(weights.values()), create_graph=order == 2
        )
        for (name, value), gradient in zip(list(weights.items()), gradients):
            rate = rates[name][min(step, len(rates[name]) - 1)]
            weights[name] = value - rate * UPDATES[optimiser](moments, name, gradient)
        yield dict(weights)


def leaves(values: Weights) -> Dict[str, Tensor]:
    """Copies that gradients are taken with respect to."""
    return {name: value.clone().requires_grad_(True) for name, value in values.items()}
