"""The domains whose support replies are ready to answer: the ones used last, by bytes."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Dict, Optional, Tuple

from rasa_onramp.embedding import Embed
from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.memory import LastUsed, bytes_of
from rasa_onramp.store import SupportSet

__all__ = ["Generators"]


class Generators:
    """Makes a domain's generator when it first answers, and keeps those used last, up to `limit`
    bytes. Thread-safe: who asks for one that is being made waits for it. `alike` is
    RetrievalGenerator's.
    """

    def __init__(self, embed: Embed, alike: Optional[Embed] = None, *, limit: int):
        self._embed = embed
        self._alike = alike
        #: By the domain's name and content.
        self.kept: LastUsed[Tuple[str, str], RetrievalGenerator] = LastUsed(limit)
        self._making: Dict[Tuple[str, str], Future[RetrievalGenerator]] = {}
        self._lock = threading.Lock()

    def get(self, support: SupportSet) -> RetrievalGenerator:
        """The generator of a domain with this support set. What its making raises, all who waited
        get; the next one makes it anew.
        """
        key = (support.schema.name, support.digest)
        with self._lock:
            found = self.kept.get(key)
            if found is not None:
                return found
            making = self._making.get(key)
            first = making is None
            if making is None:
                making = self._making[key] = Future()
        if first:
            try:
                made = self._made(support)
                self.kept.put(key, made, bytes_of(vars(made)))
                making.set_result(made)
            except BaseException as error:
                making.set_exception(error)
            with self._lock:
                del self._making[key]
        return making.result()

    def _made(self, support: SupportSet) -> RetrievalGenerator:
        return RetrievalGenerator(
            support.schema, support.dialogues, self._embed, support.blocked, self._alike
        )
