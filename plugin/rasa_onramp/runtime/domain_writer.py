"""The language model as the runtime uses it: each domain's replies under the domain's updates, and
the bot's own responses under the meta-learned ones.
"""

from __future__ import annotations

import logging
from typing import Optional, Sequence, Tuple, Union

from rasa_onramp.embedding import Embed
from rasa_onramp.errors import OnrampError
from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.neural import NeuralGenerator
from rasa_onramp.generator.rephrasing import Rephraser
from rasa_onramp.generator.writing import Updates, Writer
from rasa_onramp.logs import Seldom, logger_for
from rasa_onramp.runtime.domains import LiveDomain
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.reply_adapters import ReplyAdapters
from rasa_onramp.runtime.reply_worker import ReplyWorker

__all__ = ["DomainWriter"]

#: Other wordings of a bot's response that are written to choose from.
_WORDINGS = 8

logger = logger_for(__name__)


class DomainWriter:
    """Gives each domain its generator. Thread-safe; a reply takes at most `seconds` of writing, and
    none where a support reply is `sure` enough. Up to `limit` bytes of reply adapters are kept, and
    as many of read conversations.
    """

    def __init__(
        self,
        reach: Reach,
        model: ReplyModel,
        embed: Embed,
        *,
        seconds: float,
        sure: float,
        limit: int,
    ):
        self._model = model
        self._sure = sure
        self._adapters = ReplyAdapters(reach, model.digest, model.dtype, model.device, limit=limit)
        self._saying = Seldom()
        self._worker = ReplyWorker(Writer(model, read=limit), seconds=seconds)
        start = {name: value.to(model.dtype) for name, value in model.weights.items()}
        initial = Updates(model.digest, start)
        self._rephraser = Rephraser(
            model.tokens,
            lambda prompt: self._worker.write_several(prompt, initial, _WORDINGS),
            embed,
        )

    def generator(self, domain: LiveDomain) -> Union[RetrievalGenerator, NeuralGenerator]:
        """What answers in `domain` now: its support replies alone where its version has no reply
        part, or one that can't be used, which is logged once a minute at most. One that there is
        no room for is tried again at the next message.
        """
        try:
            updates = self._adapters.get(domain.name, domain.version, domain.reply_digest)
        except Exception as error:  # a full GPU raises a RuntimeError
            ours, kind = isinstance(error, OnrampError), type(error).__name__
            why = str(error) if ours else f"{kind}: {error}"
            reason = why if ours else kind  # how many bytes were free differs each time
            due = self._saying.due((domain.name, reason))
            level = logging.ERROR if due else logging.DEBUG
            said = f"domain {domain.name} answers by its support replies: {why}"
            logger.log(level, "onramp.domain.unwritten", event_info=said, domain=domain.name)
            return domain.generator
        if updates is None:
            return domain.generator
        found = updates
        return NeuralGenerator(
            domain.generator,
            self._model.tokens,
            lambda prompt: self._worker.write(prompt, found),
            sure=self._sure,
        )

    def rephrase(
        self, template: str, user: str, past: Sequence[Tuple[str, str]] = ()
    ) -> Optional[str]:
        """A response of the bot's own in other words; None if it should stand. See `Rephraser`."""
        return self._rephraser.rephrase(template, user, past)
