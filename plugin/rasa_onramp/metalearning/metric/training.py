"""Training a metric episodically: the algorithm box of the papers.

    repeat
        draw classes, show some examples of each, ask others, and strangers' that are of none
        map all of them into the space, and take the method's loss
        step the space by Adam

Embeddings are computed once and stay as they are, so an episode takes milliseconds on a CPU.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Dict, Iterator, Optional, Sequence, Tuple

from torch import Tensor

from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.episodic import episodic_steps
from rasa_onramp.metalearning.metric import matching, prototypical, siamese
from rasa_onramp.metalearning.metric.episodes import (
    Kind,
    MetricEpisode,
    MetricShape,
    draw_metric_episode,
    usable,
)
from rasa_onramp.metalearning.metric.space import Space
from rasa_onramp.metalearning.runs import Run

__all__ = ["METHODS", "MetricConfig", "episode_loss", "train_metric"]

#: By what --algorithm calls them.
METHODS: Dict[str, ModuleType] = {
    "prototypical": prototypical,
    "matching": matching,
    "siamese": siamese,
}


@dataclass(frozen=True)
class MetricConfig:
    """Settings of a run. `rate` is Adam's peak, of scale and threshold ten times as much; `decay`
    weighs |Δ|² in the loss, which keeps the space near the one that it starts from. With `minutes`,
    training ends when either they or the steps are used up.
    """

    method: str = "prototypical"
    steps: int = 300
    minutes: Optional[float] = None
    ways: Tuple[int, int] = (5, 50)
    shots: Tuple[int, int] = (3, 5)
    queries: int = 2
    strangers: float = 0.5
    rate: float = 1e-3
    decay: float = 1e-2
    episodes_a_step: int = 4
    clip: float = 1.0
    seed: int = 0
    save_every: int = 200

    @property
    def shape(self) -> MetricShape:
        """What its episodes look like."""
        return MetricShape(self.ways, self.shots, self.queries, self.strangers)


def train_metric(
    areas: Sequence[Sequence[Kind]],
    mean: Tensor,
    config: MetricConfig,
    run: Run,
    *,
    progress: bool = True,
) -> Space:
    """Learn a space, resuming from `run` if it holds a step. Raises ConfigError."""
    if config.method not in METHODS:
        raise ConfigError(f"unknown method {config.method!r}; choose one of {', '.join(METHODS)}")
    scale, threshold = METHODS[config.method].START
    space = Space(mean, scale=scale, threshold=threshold)
    areas = usable(areas)

    def losses_of(rng: random.Random, done: float) -> Iterator[Tuple[str, Tensor]]:
        episode = draw_metric_episode(areas, config.shape, rng)
        drift = space.delta.square().sum()
        yield "query loss", episode_loss(space, config.method, episode) + config.decay * drift

    episodic_steps(
        [
            [
                {"parameters": {"delta": space.delta}, "rate": config.rate},
                {
                    "parameters": {"log_scale": space.log_scale, "threshold": space.threshold},
                    "rate": 10 * config.rate,
                },
            ]
        ],
        losses_of,
        config,
        asdict(config),
        run,
        title=config.method,
        progress=progress,
    )
    return space


def episode_loss(space: Space, method: str, episode: MetricEpisode) -> Tensor:
    """The loss of one of METHODS on an episode of embeddings."""
    return METHODS[method].loss(space.mapped(episode), space.log_scale.exp(), space.threshold)
