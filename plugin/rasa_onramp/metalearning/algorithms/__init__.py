"""Meta-learning algorithms: each says what adapts, in which order, and what is learned of it.

They share the inner loop (inner_loop.py), the outer loop (outer_loop.py) and the meta-gradient
(meta_gradient.py), which reads what is said here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List

from rasa_onramp.errors import ConfigError

__all__ = ["ALGORITHMS", "Algorithm", "algorithm"]


@dataclass(frozen=True)
class Algorithm:
    """One way to meta-train.

    `order`: 1 takes inner gradients as constants, 2 differentiates through them; `learn_rates`:
    inner learning rates are meta-learned; `adapts(name)`: whether a tensor takes inner steps.

    `first_order`: the share of training that an algorithm of order 2 begins with order 1;
    `every_step`: the share of training over which the query loss after every inner step counts.

    `pooled`: support and query are one set, on which all inner steps are taken; the initialisation
    moves to where they lead. Then `order` is 1 and no rates are learned.
    """

    name: str
    paper: str
    order: int
    learn_rates: bool
    adapts: Callable[[str], bool] = lambda name: True
    first_order: float = 0.0
    every_step: float = 0.0
    pooled: bool = False

    def order_at(self, done: float) -> int:
        """The order in force when the share `done` of training is over."""
        return 1 if done < self.first_order else self.order

    def importance(self, done: float, steps: int) -> List[float]:
        """What the query loss after each of `steps` inner steps counts, (steps,); it sums to 1.

        All of it is the last one's, but within `every_step`: there they begin as equals, and the
        others lose theirs linearly.
        """
        left = max(0.0, 1 - done / self.every_step) if self.every_step else 0.0
        return [left / steps] * (steps - 1) + [1 - left * (steps - 1) / steps]


def _of_a_head(name: str) -> bool:
    """Whether a tensor is one of those that turn the encoder's vectors into scores. Vectors that
    go into the encoder, and its low-rank updates, aren't.
    """
    part = name.split(".")[0]
    return part in ("mention", "requested") or part.endswith(("_query", "_key"))


ALGORITHMS: Dict[str, Algorithm] = {
    a.name: a
    for a in (
        Algorithm(
            "fomaml", "Finn et al. 2017, Model-Agnostic Meta-Learning, section 5.2", 1, False
        ),
        Algorithm("maml", "Finn et al. 2017, Model-Agnostic Meta-Learning", 2, False),
        Algorithm(
            "maml++",
            "Antoniou et al. 2019, How to train your MAML",
            2,
            True,
            first_order=0.5,  # the paper's 50 epochs, of the 100 in its authors' settings
            every_step=0.15,  # 15 of those
        ),
        Algorithm("meta-sgd", "Li et al. 2017, Meta-SGD; first order", 1, True),
        Algorithm("meta-sgd-2", "Li et al. 2017, Meta-SGD; second order", 2, True),
        Algorithm(
            "anil",
            "Raghu et al. 2020, Rapid Learning or Feature Reuse?; first order",
            1,
            False,
            _of_a_head,
        ),
        Algorithm(
            "reptile",
            "Nichol et al. 2018, On First-Order Meta-Learning Algorithms",
            1,
            False,
            pooled=True,
        ),
    )
}


def algorithm(name: str) -> Algorithm:
    """The algorithm called `name`. Raises ConfigError."""
    if name not in ALGORITHMS:
        raise ConfigError(f"unknown algorithm {name!r}; choose one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]
