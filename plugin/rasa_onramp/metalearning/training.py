"""Stage two of the tracker: meta-training.

An episode is a service with its support and query dialogues. Those without support leave θ_K = θ,
so zero-shot stays in the objective. The encoder takes no inner steps; its gradient at θ_K is exact
in second order, and in first order exact but for what it does to the inner gradients. Reptile,
whose gradient is where the inner steps lead, leaves it as it is.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from typing import Callable, Dict, Mapping, Optional, Sequence

import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.metalearning.algorithms import algorithm
from rasa_onramp.metalearning.corpus import Task
from rasa_onramp.metalearning.episodes import Episode, EpisodeConfig, draw_episode, inner_groups
from rasa_onramp.metalearning.examples import Augmentation
from rasa_onramp.metalearning.inner_loop import SupportLoss, adapt, initial_rates
from rasa_onramp.metalearning.lora import Adapter, initial_lora, lora_rank
from rasa_onramp.metalearning.meta_gradient import Practice
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.metalearning.outer_loop import MetaLearner, learned_rates, outer_loop
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.tracker.model import StateTracker

__all__ = ["MetaConfig", "TrackerMetaLearner", "draws_of", "meta_train"]

SUPPORT = Augmentation(shuffle=True, forget=0.2, noise=0.2, new_values=0.15)
QUERY = Augmentation(
    shuffle=True,
    forget=0.3,
    offers=0.5,
    undescribed=0.1,
    elsewhere=0.15,
    noise=0.3,
    new_values=0.15,
)


@dataclass(frozen=True)
class MetaConfig:
    """Settings of stage two.

    `dialogues_a_step` support dialogues make one inner batch; low-rank updates are of `rank` where
    the tracker has none yet; `emphasis` multiplies the sampling weight of services (for instance
    those that stage one left out). With `minutes`, training ends when either they or the steps are
    used up.
    """

    algorithm: str = "meta-sgd"
    steps: int = 300
    minutes: Optional[float] = None
    inner_steps: int = 8
    inner_optimiser: str = "adam"
    dialogues_a_step: int = 2
    rank: int = 2
    lora_rate: float = 5e-3
    heads_rate: float = 2e-3
    episodes_a_step: int = 2
    shots: Mapping[int, float] = field(
        default_factory=lambda: {0: 0.3, 1: 0.1, 2: 0.1, 3: 0.1, 5: 0.4}
    )
    queries: int = 3
    opaque: float = 0.25
    encoder_outer_rate: float = 3e-5
    weights_outer_rate: float = 4e-4
    rates_outer_rate: float = 2e-2
    clip: float = 1.0
    seed: int = 0
    save_every: int = 25
    emphasis: Mapping[str, float] = field(default_factory=dict)

    @property
    def adaptation(self) -> Dict[str, object]:
        """How a tracker that was trained so is to be adapted, for its card."""
        return {
            "steps": self.inner_steps,
            "dialogues_a_step": self.dialogues_a_step,
            "optimiser": self.inner_optimiser,
        }


class TrackerMetaLearner(MetaLearner):
    """A tracker that is meta-trained: its adapter, what is stepped beside it, and its losses.

    The tracker gets low-rank updates if it has none. Its encoder requires gradients until `finish`
    has written the result back.
    """

    config: MetaConfig

    def __init__(self, tracker: StateTracker, config: MetaConfig):
        self.tracker = tracker
        method = algorithm(config.algorithm)
        device = tracker.device
        if lora_rank(tracker.weights) is None:
            seeded = torch.Generator().manual_seed(config.seed)
            lora = initial_lora(tracker.encoder.config, config.rank, generator=seeded)
            tracker.weights.update({k: v.to(device) for k, v in lora.items()})
        inner = {k: v for k, v in tracker.weights.items() if method.adapts(k)}
        outer = {k: v.requires_grad_(True) for k, v in tracker.weights.items() if k not in inner}
        adapter = Adapter(inner).to(device)
        start = initial_rates(
            inner, config.inner_steps, lora=config.lora_rate, heads=config.heads_rate
        )
        log_rates = learned_rates(start, tracker.rates, device, method.learn_rates)
        body = {f"encoder/{name}": tensor for name, tensor in tracker.encoder.unfreeze().items()}
        theta: Dict[str, Tensor] = {}
        theta.update({f"weights/{n}": p for n, p in zip(adapter.names, adapter.parameters())})
        theta.update({f"weights/{n}": p for n, p in outer.items()})
        self._outer = outer
        groups = [
            {"parameters": body, "rate": config.encoder_outer_rate},
            {"parameters": theta, "rate": config.weights_outer_rate},
        ]
        super().__init__(method, adapter, groups, log_rates, config)

    def practice(self, episode: Episode, order: int, rng: random.Random) -> Optional[Practice]:
        """The losses of an episode; None if it has no query to be judged by."""
        asked = episode.query
        if asked is None:
            return None
        pooled = (*episode.support, *episode.judged) if self.method.pooled else episode.support
        support = self._support_loss(episode, pooled, order, rng)

        def query_loss(weights: Mapping[str, Tensor]) -> Tensor:
            return group_loss(self.tracker, asked, self.whole(weights))

        return Practice(support, [query_loss])

    def adapted(self, episode: Episode, done: float, rng: random.Random) -> Dict[str, Tensor]:
        """What takes inner steps after those on the episode's support alone, detached."""
        theta = {name: value.detach() for name, value in self.adapter().items()}
        support = self._support_loss(episode, episode.support, 1, rng)
        if support is None:
            return theta
        return adapt(theta, support, self.rates(), replace(self.inner_loop(done), order=1))

    def whole(self, weights: Mapping[str, Tensor]) -> Dict[str, Tensor]:
        """All of the tracker's weights, with these for what takes inner steps."""
        return {**self._outer, **weights}

    def finish(self) -> None:
        """Write what was learned back to the tracker."""
        tracker = self.tracker
        tracker.weights.update({k: v.detach() for k, v in self.adapter().items()})
        tracker.weights.update({k: v.detach() for k, v in self._outer.items()})
        tracker.rates = {name: rate.detach() for name, rate in self.rates().items()}
        tracker.encoder.requires_grad_(False)

    def _support_loss(
        self, episode: Episode, support: Sequence[Dialogue], order: int, rng: random.Random
    ) -> Optional[SupportLoss]:
        steps = list(
            inner_groups(
                self.tracker.tokens,
                episode.schema,
                support,
                rng,
                replace(SUPPORT, offers=float(episode.offers)),
                steps=self.config.inner_steps,
                size=self.config.dialogues_a_step,
            )
        )

        def loss(weights: Mapping[str, Tensor], step: int) -> Tensor:
            # of order 2 its gradient is differentiated once more, the query's never
            plain = order == 2
            return group_loss(self.tracker, steps[step], self.whole(weights), math_attention=plain)

        return loss if steps else None


def draws_of(
    tracker: StateTracker, tasks: Sequence[Task], config: MetaConfig
) -> Callable[[random.Random], Episode]:
    """How episodes are drawn."""
    shape = EpisodeConfig(config.shots, config.queries, config.opaque)
    chances = [t.weight * config.emphasis.get(t.schema.name, 1.0) for t in tasks]
    return lambda rng: draw_episode(tracker.tokens, tasks, chances, shape, rng, query=QUERY)


def meta_train(
    tracker: StateTracker,
    tasks: Sequence[Task],
    config: MetaConfig,
    run: Run,
    *,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Meta-train `tracker`'s initialisation and inner rates in place, resuming from `run`.

    Several `workers` share out the episodes of a step. Raises ConfigError if they can't be in equal
    parts.
    """
    learner = TrackerMetaLearner(tracker, config)
    draw = draws_of(tracker, tasks, config)
    outer_loop(
        learner,
        lambda rng, order: learner.practice(draw(rng), order, rng),
        asdict(config),
        run,
        title="meta",
        progress=progress,
        workers=workers,
    )
    learner.finish()
