"""Stage two of the reply generator: meta-training, and the inner steps it shares with adapting.

An episode's support dialogues are read leaving themselves out of what may be copied, the query
dialogues with all of the support. Every tensor of the low-rank updates takes inner steps; the
language model itself is never trained.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from torch import Tensor

from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed
from rasa_onramp.metalearning.algorithms import algorithm
from rasa_onramp.metalearning.episodes import going_round
from rasa_onramp.metalearning.inner_loop import (
    InnerLoop,
    adapt,
    initial_rates,
    recommended,
    setting_flaw,
    stretched,
)
from rasa_onramp.metalearning.lora import Adapter
from rasa_onramp.metalearning.meta_gradient import Practice, QueryLoss
from rasa_onramp.metalearning.outer_loop import MetaLearner, learned_rates, outer_loop
from rasa_onramp.metalearning.pace import pace
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.reply_episodes import ReplyEpisode
from rasa_onramp.metalearning.runs import Run

__all__ = [
    "ReplyAdaptation",
    "ReplyMetaConfig",
    "ReplyMetaLearner",
    "adapt_replies",
    "inner_batches",
    "meta_train_replies",
    "query_losses",
]


@dataclass(frozen=True)
class ReplyAdaptation:
    """How replies are adapted at deployment: `steps` inner steps on `dialogues_a_step` support
    dialogues each.

    The steps may exceed those meta-trained; the learned rates are then stretched over them.
    `rate_scale` multiplies these, and `repeating_rate_scale` as far as the replies repeat
    themselves (`pace.pace`). Raises ConfigError.
    """

    steps: int = 5
    dialogues_a_step: int = 1
    optimiser: str = "adam"
    rate_scale: float = 1.0
    repeating_rate_scale: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            flaw = setting_flaw(name, value)
            if flaw is not None:
                raise ConfigError(f"adaptation: {flaw}")

    @classmethod
    def of(cls, model: ReplyModel) -> ReplyAdaptation:
        """What the checkpoint recommends. Raises CheckpointError, also if the model has no rates to
        adapt with.
        """
        if not model.rates or model.card.get("adaptation") is None:
            raise CheckpointError(
                "this reply model was never meta-trained, so it has no rates to adapt with; "
                "take the meta stage on it, or use the shipped one"
            )
        return recommended(cls, model.card, "replies.json")


@dataclass(frozen=True)
class ReplyMetaConfig:
    """Settings of stage two. `dialogues_a_step` support dialogues make one inner batch.

    With `minutes`, training ends when either they or the steps are used up.
    """

    algorithm: str = "meta-sgd"
    steps: int = 200
    minutes: Optional[float] = None
    inner_steps: int = 5
    inner_optimiser: str = "adam"
    dialogues_a_step: int = 1
    inner_rate: float = 2e-4
    episodes_a_step: int = 1
    weights_outer_rate: float = 2e-4
    rates_outer_rate: float = 3e-2
    clip: float = 1.0
    seed: int = 0
    save_every: int = 10


class ReplyMetaLearner(MetaLearner):
    """Replies that are meta-trained: their adapter and their losses.

    Raises CheckpointError if the model has no weights to start from, ConfigError for an algorithm
    that leaves low-rank updates alone (ANIL), because nothing else could adapt here.
    """

    config: ReplyMetaConfig

    def __init__(self, model: ReplyModel, config: ReplyMetaConfig):
        self.model = model
        if not model.weights:
            raise CheckpointError("nothing to meta-train; take the multi-task stage first")
        method = algorithm(config.algorithm)
        if not all(method.adapts(name) for name in model.weights):
            raise ConfigError(
                f"{config.algorithm} adapts no low-rank updates; choose another algorithm"
            )
        adapter = Adapter(model.weights).to(model.device)
        rate = config.inner_rate
        start = initial_rates(model.weights, config.inner_steps, lora=rate, heads=rate)
        log_rates = learned_rates(start, model.rates, model.device, method.learn_rates)
        theta = {f"weights/{n}": p for n, p in zip(adapter.names, adapter.parameters())}
        groups = [{"parameters": theta, "rate": config.weights_outer_rate}]
        super().__init__(method, adapter, groups, log_rates, config)

    def practice(self, episode: ReplyEpisode, rng: random.Random) -> Optional[Practice]:
        """The losses of an episode; None if its query has no reply to learn from."""
        query = query_losses(self.model, episode.query)
        if not query:
            return None
        pooled = (*episode.support, *episode.query) if self.method.pooled else episode.support
        how = self.config
        steps = inner_batches(pooled, how.inner_steps, how.dialogues_a_step, rng)

        def support_loss(weights: Mapping[str, Tensor], step: int) -> Tensor:
            return self.model.loss(steps[step], weights)

        return Practice(support_loss if steps else None, query)

    def finish(self) -> None:
        """Write what was learned back to the model."""
        model, how = self.model, self.config
        model.weights = {name: value.detach() for name, value in self.adapter().items()}
        model.rates = {name: value.detach() for name, value in self.rates().items()}
        adaptation = ReplyAdaptation(how.inner_steps, how.dialogues_a_step, how.inner_optimiser)
        model.card["adaptation"] = asdict(adaptation)


def meta_train_replies(
    model: ReplyModel,
    episodes: Sequence[ReplyEpisode],
    config: ReplyMetaConfig,
    run: Run,
    *,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Meta-train `model.weights` and `model.rates` in place, resuming from `run`. Several `workers`
    share out the episodes of a step.

    Raises CheckpointError and ConfigError as `ReplyMetaLearner` does, ConfigError also for episodes
    that can't be shared out in equal parts.
    """
    learner = ReplyMetaLearner(model, config)
    outer_loop(
        learner,
        lambda rng, order: learner.practice(rng.choice(episodes), rng),
        asdict(config),
        run,
        title="replies, meta",
        progress=progress,
        workers=workers,
    )
    learner.finish()


def query_losses(model: ReplyModel, sequences: Sequence[Packed]) -> List[QueryLoss]:
    """One for each sequence that holds a reply; their sum is the mean loss of a learned token."""
    learned = [int(sequence.learned.sum()) for sequence in sequences]

    def share_of(sequence: Packed, share: float) -> QueryLoss:
        return lambda weights: model.loss([sequence], weights) * share

    return [share_of(s, count / sum(learned)) for s, count in zip(sequences, learned) if count]


def inner_batches(
    support: Sequence[Packed], steps: int, size: int, rng: random.Random
) -> List[List[Packed]]:
    """What each inner step is taken on: `size` support dialogues, going round the shuffled set.

    No steps if no support dialogue holds a reply to learn from.
    """
    usable = [sequence for sequence in support if sequence.learned.any()]
    return list(islice(going_round(usable, size, rng), steps)) if usable else []


def adapt_replies(
    model: ReplyModel,
    support: Sequence[Packed],
    *,
    seed: int = 0,
    after_step: Optional[Callable[[int, float], None]] = None,
) -> Dict[str, Tensor]:
    """A domain's updates: the learned inner steps on its support dialogues, as the checkpoint
    recommends.

    Without a reply to learn from it is the initialisation itself. `after_step` is told each step's
    number and support loss. Raises CheckpointError as `ReplyAdaptation.of` does.
    """
    how = ReplyAdaptation.of(model)
    batches = inner_batches(support, how.steps, how.dialogues_a_step, random.Random(seed))
    if not batches:
        return dict(model.weights)
    scale = how.rate_scale * pace(support, how.repeating_rate_scale)
    return adapt(
        model.weights,
        lambda weights, step: model.loss(batches[step], weights),
        {name: stretched(v, how.steps) * scale for name, v in model.rates.items()},
        InnerLoop(how.steps, 1, how.optimiser),
        after_step=after_step,
    )
