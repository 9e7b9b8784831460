"""Adapting the reply generator to a domain, and how well it then foresees held-out replies."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Callable, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

import torch

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.embedding import Embed
from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.blocking import Blocked, sayable
from rasa_onramp.generator.checkpoint import chosen_replies
from rasa_onramp.generator.model import ReplyModel, Weights
from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.metalearning.lora import adapter_from_bytes, adapter_to_bytes
from rasa_onramp.metalearning.precision import learning_attention
from rasa_onramp.metalearning.reply_episodes import support_and_queries
from rasa_onramp.metalearning.reply_training import ReplyAdaptation, adapt_replies
from rasa_onramp.tracker.sentences import SentenceEncoder

__all__ = ["AdaptedReplies", "ReplyLearner"]

logger = logging.getLogger(__name__)

#: Held-out dialogues that are measured on: a perplexity needs no more, and reading takes time.
_MEASURED = 3


@dataclass(frozen=True)
class ReplyLearner:
    """What replies are adapted with: the model, and the embeddings that find similar turns."""

    model: ReplyModel
    embed: Embed

    @classmethod
    def of(cls, model: ReplyModel) -> ReplyLearner:
        """With the embeddings that a bot finds similar turns by. Raises CheckpointError."""
        return cls(model, SentenceEncoder.load("all-MiniLM-L6-v2").embed)

    @classmethod
    def load(
        cls, tell: Callable[[str], None], folder: Optional[str], device: str
    ) -> Optional[ReplyLearner]:
        """With the initialisation in `folder`, or the shipped one (None); None, after telling why,
        where that can't be had. Raises CheckpointError.
        """
        model = chosen_replies(tell, folder, device=device, attention=learning_attention)
        return None if model is None else cls.of(model)

    @property
    def steps(self) -> int:
        """The inner steps of an adaptation; 0 where the checkpoint recommends none that can be,
        which `adapt` then says.
        """
        try:
            return ReplyAdaptation.of(self.model).steps
        except CheckpointError:
            return 0

    def adapt(
        self,
        schema: Schema,
        support: Sequence[Dialogue],
        held_out: Sequence[Dialogue],
        *,
        blocked: Collection[str] = (),
        after_step: Optional[Callable[[int, float], None]] = None,
    ) -> AdaptedReplies:
        """Adapt to the support dialogues, but for replies whose text or template is `blocked`.
        Raises CheckpointError as `adapt_replies` does.

        What is measured is what is stored: the updates after rounding to half precision. Where a
        GPU has too little memory, this and all that follows is done on the CPU, which is logged.
        """
        try:
            return self._adapt(schema, support, held_out, blocked, after_step)
        except torch.cuda.OutOfMemoryError:
            if self.model.device.type == "cpu":
                raise
            logger.warning(
                "%s has too little free memory; adapting replies on the CPU", self.model.device
            )
            self.model.to("cpu")
            self.model.attend(learning_attention("cpu"))
            return self._adapt(schema, support, held_out, blocked, after_step)

    def _adapt(
        self,
        schema: Schema,
        support: Sequence[Dialogue],
        held_out: Sequence[Dialogue],
        blocked: Collection[str],
        after_step: Optional[Callable[[int, float], None]],
    ) -> AdaptedReplies:
        began = time.perf_counter()
        episode = support_and_queries(
            self.model.tokens,
            schema,
            _replies(schema, support, blocked),
            _replies(schema, held_out[:_MEASURED]),
            self.embed,
        )
        adapted = adapt_replies(self.model, episode.support, after_step=after_step)
        seconds = time.perf_counter() - began
        weights = adapter_to_bytes(adapted)
        stored = {k: v.to(self.model.device) for k, v in adapter_from_bytes(weights).items()}
        return AdaptedReplies(
            weights=weights,
            checkpoint_digest=self.model.digest,
            adaptation=self.model.card["adaptation"],
            seconds=seconds,
            before=self._surprise(episode.query, None),
            after=self._surprise(episode.query, stored),
        )

    def _surprise(self, sequences: Sequence[Packed], weights: Optional[Weights]) -> Optional[float]:
        """Mean negative log likelihood of the replies' tokens in nats, None without any."""
        tokens = [int(sequence.learned.sum()) for sequence in sequences]
        if not sum(tokens):
            return None
        with torch.inference_mode():
            losses = [float(self.model.loss([sequence], weights)) for sequence in sequences]
        return sum(loss * count for loss, count in zip(losses, tokens)) / sum(tokens)


@dataclass(frozen=True)
class AdaptedReplies:
    """The replies' part of an adapter version, as a file, and for which initialisation it is.

    `adaptation` is how it was adapted, as the checkpoint's card recommends.
    `before` and `after` are the mean negative log likelihood, in nats, of the held-out replies'
    tokens (of the first three dialogues) under the initialisation and as adapted; None without any.
    """

    weights: bytes
    checkpoint_digest: str
    adaptation: Mapping[str, object]
    seconds: float
    before: Optional[float]
    after: Optional[float]

    def figures(self) -> Dict[str, object]:
        """What is stored beside the version."""
        return {
            "adaptation": dict(self.adaptation),
            "seconds": round(self.seconds, 3),
            "before": self.before,
            "after": self.after,
        }


def _replies(
    schema: Schema, dialogues: Sequence[Dialogue], blocked: Collection[str] = ()
) -> List[Tuple[SupportReply, ...]]:
    may_not = Blocked(blocked)
    return [sayable(support_replies(schema, [dialogue]), may_not) for dialogue in dialogues]
