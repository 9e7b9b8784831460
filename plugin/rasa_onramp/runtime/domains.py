"""The domains that are live: read from the store again only where it changed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Dict, FrozenSet, Mapping, Optional, Tuple

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import OnrampError, StoreUnavailable
from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.logs import logger_for
from rasa_onramp.runtime.background import Background
from rasa_onramp.runtime.domain_index import DomainIndex
from rasa_onramp.runtime.embedding import Embed
from rasa_onramp.store import DomainSummary, Store

__all__ = ["Catalogue", "LiveDomain"]

logger = logger_for(__name__)


@dataclass(frozen=True)
class LiveDomain:
    """A domain ready to be routed to, tracked and answered in.

    `parameters` says of each action which slots it is called with, as far as schema and support
    dialogues tell; an action that isn't in it is called with all that is known. `content` is the
    digest of schema, support dialogues and feedback, `digest` that of the active adapter `version`,
    and `reply_digest` that of its reply part, if it has one.
    """

    schema: Schema
    index: DomainIndex
    generator: RetrievalGenerator
    parameters: Mapping[str, FrozenSet[str]]
    content: str
    version: Optional[int]
    digest: Optional[str]
    reply_digest: Optional[str] = None

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.schema.name


@dataclass(frozen=True)
class _Snapshot:
    revision: Optional[int] = None
    domains: Mapping[str, LiveDomain] = field(default_factory=dict)


class Catalogue:
    """All live domains. Thread-safe; one cheap query a call while nothing changes.

    After the store couldn't be reached, it is asked again `retry_after` seconds later at the
    earliest, so that messages aren't held up by one time-out after the other. `alike` is
    RetrievalGenerator's.
    """

    def __init__(
        self,
        store: Store,
        embed: Embed,
        background: Background,
        retry_after: float = 2.0,
        alike: Optional[Embed] = None,
    ):
        self._store = store
        self._embed = embed
        self._alike = alike
        self._background = background
        self._retry_after = retry_after
        self._snapshot = _Snapshot()
        self._lock = threading.Lock()
        self._down: Optional[Tuple[float, StoreUnavailable]] = None

    def domains(self) -> Mapping[str, LiveDomain]:
        """The live domains by name, up to date with the store. Raises StoreUnavailable."""
        with self._lock:
            if self._down is not None:
                since, error = self._down
                if time.monotonic() - since < self._retry_after:
                    raise error
            try:
                revision = self._store.revision()
                if revision != self._snapshot.revision:
                    self._snapshot = _Snapshot(revision, self._read())
            except StoreUnavailable as error:
                self._down = (time.monotonic(), error)
                raise
            if self._down is not None:
                # as loud as it must be to be seen wherever the outage was
                said = f"the store {self._store.name} is reachable again"
                logger.warning("onramp.store.reachable", event_info=said)
                self._down = None
            return self._snapshot.domains

    def known(self, name: str) -> Optional[LiveDomain]:
        """The live domain `name`, or None. The store is asked only if nothing was read yet.

        Raises StoreUnavailable.
        """
        found = self._snapshot.domains.get(name)
        return found if found is not None else self.domains().get(name)

    @property
    def last(self) -> Mapping[str, LiveDomain]:
        """The domains as they were read last; the store isn't asked."""
        return self._snapshot.domains

    @property
    def reachable(self) -> bool:
        """Whether the store answered when it was asked last."""
        return self._down is None

    def _read(self) -> Dict[str, LiveDomain]:
        live: Dict[str, LiveDomain] = {}
        for summary in self._store.dialogues.summary():
            known = self._snapshot.domains.get(summary.name)
            try:
                live[summary.name] = self._updated(known, summary)
            except StoreUnavailable:
                raise
            except OnrampError as error:
                said = f"domain {summary.name} is left out: {error}"
                logger.error("onramp.domain.left_out", event_info=said, domain=summary.name)
        return live

    def _updated(self, known: Optional[LiveDomain], summary: DomainSummary) -> LiveDomain:
        version, digest = summary.active_version, summary.active_digest
        reply = summary.active_reply_digest
        content = summary.support_digest
        if known is not None and known.content == content:
            if (known.version, known.digest, known.reply_digest) == (version, digest, reply):
                return known
            logger.info("onramp.domain.switched", domain=summary.name, version=version)
            return replace(known, version=version, digest=digest, reply_digest=reply)
        support = self._store.support(summary.name)
        schema, dialogues = support.schema, support.dialogues
        logger.info("onramp.domain.live", domain=summary.name, version=version)
        return LiveDomain(
            schema=schema,
            index=DomainIndex.build(schema, dialogues, self._embed, self._background),
            generator=RetrievalGenerator(
                schema, dialogues, self._embed, support.blocked, self._alike
            ),
            parameters=_parameters(schema, dialogues),
            content=content,
            version=version,
            digest=digest,
            reply_digest=reply,
        )


def _parameters(schema: Schema, support: Tuple[Dialogue, ...]) -> Dict[str, FrozenSet[str]]:
    """The slots that each action was called with in support dialogues, and its required ones."""
    seen: Dict[str, FrozenSet[str]] = {}
    for dialogue in support:
        for turn in dialogue.turns:
            if turn.action is not None:
                seen[turn.action] = seen.get(turn.action, frozenset()) | set(turn.parameters)
    required = {action.name: action.required_slots for action in schema.actions}
    return {name: slots | set(required.get(name, ())) for name, slots in seen.items()}
