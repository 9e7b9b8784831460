"""Meta-learning algorithms: each says what adapts, in which order, and what is learned of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict

from rasa_onramp.errors import ConfigError

__all__ = ["ALGORITHMS", "Algorithm", "algorithm"]


@dataclass(frozen=True)
class Algorithm:
    """One way to meta-train.

    `order`: 1 takes inner gradients as constants, 2 differentiates through them; `learn_rates`:
    inner learning rates are meta-learned; `adapts(name)`: whether a tensor takes inner steps.
    """

    name: str
    paper: str
    order: int
    learn_rates: bool
    adapts: Callable[[str], bool] = lambda name: True


ALGORITHMS: Dict[str, Algorithm] = {
    a.name: a
    for a in (
        Algorithm(
            "fomaml", "Finn et al. 2017, Model-Agnostic Meta-Learning, section 5.2", 1, False
        ),
        Algorithm("maml", "Finn et al. 2017, Model-Agnostic Meta-Learning", 2, False),
        Algorithm("meta-sgd", "Li et al. 2017, Meta-SGD; first order", 1, True),
        Algorithm("meta-sgd-2", "Li et al. 2017, Meta-SGD; second order", 2, True),
        Algorithm(
            "anil",
            "Raghu et al. 2020, Rapid Learning or Feature Reuse?",
            1,
            False,
            lambda name: ".lora_" not in name,
        ),
    )
}


def algorithm(name: str) -> Algorithm:
    """The algorithm called `name`. Raises ConfigError."""
    if name not in ALGORITHMS:
        raise ConfigError(f"unknown algorithm {name!r}; choose one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]
