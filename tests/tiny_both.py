"""A tiny tracker and tiny replies that learn from the same dialogues."""

from __future__ import annotations

from typing import Dict, Tuple

from torch import Tensor

from rasa_onramp.dialogue import Corpus
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.tracker.model import StateTracker
from tiny_replies import SCHEMA, corpus, random_updates, tiny_model
from tiny_tracker import tiny_tracker

__all__ = ["TALKS", "TASKS", "everything", "models"]

#: They begin with a reply that can be said whatever the tracker makes of them.
TALKS = tuple(d for d in corpus(5).dialogues if d.id.startswith("d1"))
TASKS = tasks_of(Corpus({SCHEMA.name: SCHEMA}, TALKS))


def models() -> Tuple[StateTracker, ReplyModel]:
    """Both at their start."""
    replies = tiny_model()
    replies.weights = random_updates(replies)
    return tiny_tracker(seed=0, rank=2), replies


def everything(tracker: StateTracker, replies: ReplyModel) -> Dict[str, Tensor]:
    """All that both have learned."""
    parts = {
        "encoder": tracker.encoder.state_dict(),
        "tracker": tracker.weights,
        "tracker rates": tracker.rates,
        "replies": replies.weights,
        "replies rates": replies.rates,
    }
    return {
        f"{part}/{name}": value.detach().clone().contiguous()
        for part, values in parts.items()
        for name, value in values.items()
    }
