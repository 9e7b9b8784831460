"""The domains whose support replies are ready to answer: the ones used last, by bytes."""

from __future__ import annotations

from typing import Optional, Tuple

from rasa_onramp.embedding import Embed
from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.memory import LastUsed, bytes_of
from rasa_onramp.store import SupportSet

__all__ = ["Generators"]


class Generators:
    """Makes a domain's generator when it first answers, and keeps those used last, up to `limit`
    bytes. Thread-safe. `alike` is RetrievalGenerator's.
    """

    def __init__(self, embed: Embed, alike: Optional[Embed] = None, *, limit: int):
        self._embed = embed
        self._alike = alike
        #: By the domain's name and content.
        self.kept: LastUsed[Tuple[str, str], RetrievalGenerator] = LastUsed(limit)

    def get(self, support: SupportSet) -> RetrievalGenerator:
        """The generator of a domain with this support set."""
        key = (support.schema.name, support.digest)
        found = self.kept.get(key)
        if found is None:
            found = RetrievalGenerator(
                support.schema, support.dialogues, self._embed, support.blocked, self._alike
            )
            self.kept.put(key, found, bytes_of(vars(found)))
        return found
