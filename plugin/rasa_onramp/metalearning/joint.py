"""Stage two of tracker and replies together: joint meta-training.

    repeat
        for each of a batch of episodes, a service with its support and query dialogues
            the tracker's inner steps on the support, and its meta-gradient
            some of the time: the query dialogues get the states that the adapted tracker predicts
            the replies' inner steps on the support's replies, and their meta-gradient on the
                query's
        step both by Adam

The two share no parameter, and no gradient flows from one to the other. What is joint is the
episode, the states that replies are learned in, and one run with one schedule: replies practise
with what a tracker makes of a domain after the same few dialogues, as they will have to answer
with. Where the states are the labels, as when each is trained by itself, the tracker's mistakes are
met in the bot only.

That predictions take the place of labels some of the time is scheduled sampling (Bengio et al.
2015), here by the episode and with a share that stays as it is: the labels remain in the objective.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from torch import Tensor

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.embedding import Embed
from rasa_onramp.errors import ConfigError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.metalearning.corpus import Task
from rasa_onramp.metalearning.episodes import Episode
from rasa_onramp.metalearning.episodic import episodic_steps
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.predicted_states import reread, with_predictions
from rasa_onramp.metalearning.reply_episodes import (
    KnownReplies,
    ReplyEpisode,
    support_and_queries,
)
from rasa_onramp.metalearning.reply_training import ReplyMetaConfig, ReplyMetaLearner
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import MetaConfig, TrackerMetaLearner, draws_of
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker

__all__ = ["JointConfig", "JointLearner", "meta_train_jointly"]


@dataclass(frozen=True)
class JointConfig:
    """Settings of both, and what each has of its own in `tracker` and `replies`, where the settings
    that stand here don't count.

    `predicted` is the share of episodes whose replies are learned in the states that the adapted
    tracker predicts; 0 is two separate trainings on the same episodes. `tracker` also says how
    episodes are drawn. With `minutes`, training ends when either they or the steps are used up.
    """

    algorithm: str = "meta-sgd"
    steps: int = 200
    minutes: Optional[float] = None
    episodes_a_step: int = 2
    predicted: float = 0.5
    clip: float = 1.0
    seed: int = 0
    save_every: int = 10
    tracker: MetaConfig = field(default_factory=MetaConfig)
    replies: ReplyMetaConfig = field(default_factory=ReplyMetaConfig)

    @property
    def of_tracker(self) -> MetaConfig:
        """The tracker's settings, those of both among them."""
        return replace(self.tracker, **self._shared())

    @property
    def of_replies(self) -> ReplyMetaConfig:
        """The replies' settings, those of both among them."""
        return replace(self.replies, **self._shared())

    def _shared(self) -> Dict[str, Any]:
        names = (
            *("algorithm", "steps", "minutes", "episodes_a_step"),
            *("clip", "seed", "save_every"),
        )
        return {name: getattr(self, name) for name in names}


class JointLearner:
    """Tracker and replies, which learn from the same episodes; see the top of this module.

    `draw` draws the episodes, `embed` finds similar turns as it does for a bot, `predicted` is
    JointConfig's.
    """

    def __init__(
        self,
        tracker: TrackerMetaLearner,
        replies: ReplyMetaLearner,
        draw: Callable[[random.Random], Episode],
        embed: Embed,
        predicted: float,
    ):
        self._tracker = tracker
        self._replies = replies
        self._draw = draw
        self._embed = embed
        self._predicted = predicted
        self._known = KnownReplies()
        self.loss_names = (f"tracker {tracker.loss_name}", f"replies {replies.loss_name}")

    def clipped(self) -> List[List[Dict[str, Any]]]:
        """The groups of Adam, each one's and its rates clipped by themselves."""
        return [*self._tracker.clipped("tracker/"), *self._replies.clipped("replies/")]

    def losses(self, rng: random.Random, done: float) -> Iterator[Tuple[str, Tensor]]:
        """An episode's, first the tracker's; none if it has no query to be judged by."""
        episode = self._draw(rng)
        practice = self._tracker.practice(episode, self._tracker.inner_loop(done).order, rng)
        if practice is None:
            return
        theta: Dict[str, Tensor] = {}
        yield self.loss_names[0], self._tracker.loss(practice, done, adapted=theta.update)
        in_predicted_states = rng.random() < self._predicted
        if in_predicted_states and self._tracker.method.pooled:
            # its inner steps have read the query's labels, which a bot never sees
            theta = self._tracker.adapted(episode, done, rng)
        weights = self._tracker.whole(theta) if in_predicted_states else None
        answers = self._replies.practice(self.reply_episode(episode, weights), rng)
        if answers is not None:
            yield self.loss_names[1], self._replies.loss(answers, done)

    def reply_episode(
        self, episode: Episode, weights: Optional[Mapping[str, Tensor]]
    ) -> ReplyEpisode:
        """The episode's replies: the query's in the states that the tracker predicts with these
        weights (None: the labels). The support's states are labels, as when a domain is adapted.
        """
        schema = episode.schema
        support = [self._known.of(schema, dialogue) for dialogue in episode.support]
        queries = [self._known.of(schema, dialogue) for dialogue in episode.judged]
        if weights is not None:
            tracker = self._tracker.tracker
            predictions = track_dialogues(
                tracker, schema, episode.judged, weights, offers=episode.offers
            )
            queries = [
                reread(schema, replies, with_predictions(dialogue, found))
                for replies, dialogue, found in zip(queries, episode.judged, predictions)
            ]
        tokens = self._replies.model.tokens
        return support_and_queries(tokens, schema, support, queries, self._embed)

    def finish(self) -> None:
        """Write what was learned back to both."""
        self._tracker.finish()
        self._replies.finish()


def meta_train_jointly(
    tracker: StateTracker,
    model: ReplyModel,
    tasks: Sequence[Task],
    config: JointConfig,
    run: Run,
    *,
    embed: Embed,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Meta-train `tracker`'s and `model`'s initialisations and inner rates in place, resuming from
    `run`. Several `workers` share out the episodes of a step.

    Raises CheckpointError and ConfigError as `ReplyMetaLearner` does, ConfigError also for tasks
    without replies and for episodes that can't be shared out in equal parts.
    """
    if not any(_has_reply(d) for task in tasks for d in (*task.alone, *task.mixed)):
        raise ConfigError("the corpus has no replies to learn from; give one with the bot's turns")
    replies = ReplyMetaLearner(model, config.of_replies)
    learner = JointLearner(
        TrackerMetaLearner(tracker, config.of_tracker),
        replies,
        draws_of(tracker, tasks, config.of_tracker),
        embed,
        config.predicted,
    )
    episodic_steps(
        learner.clipped(),
        learner.losses,
        config,
        asdict(config),
        run,
        title="joint, meta",
        loss_names=learner.loss_names,
        progress=progress,
        workers=workers,
    )
    learner.finish()


def _has_reply(dialogue: Dialogue) -> bool:
    turns = dialogue.turns
    return any(a.is_user and not b.is_user for a, b in zip(turns, turns[1:]))
