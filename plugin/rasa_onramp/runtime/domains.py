"""The domains that are live: read from the store again only where it changed.

What changed is read and embedded in a thread. A message waits a little for it, which is enough for
a few domains; while many are read, those that were live before go on answering.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from typing import Collection, Dict, FrozenSet, List, Mapping, Optional, Tuple

from rasa_onramp.dialogue import Schema
from rasa_onramp.embedding import Embed
from rasa_onramp.errors import OnrampError, StoreUnavailable
from rasa_onramp.example_calls import taken_slots
from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.logs import logger_for, traceback_of
from rasa_onramp.runtime.background import Background
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.generators import Generators
from rasa_onramp.runtime.known_embeddings import KnownEmbeddings
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.store import DomainSummary, SupportSet, follows
from rasa_onramp.tracker.schema_prompt import check_length
from rasa_onramp.tracker.tokens import Tokens

__all__ = ["Catalogue", "Live", "LiveDomain"]

logger = logger_for(__name__)

#: Domains that are read together: what is new of them is kept in one transaction.
_TOGETHER = 64


@dataclass(frozen=True)
class LiveDomain:
    """A domain ready to be routed to, tracked and answered in.

    `parameters` says of each action which slots it is called with for an intent (None: for any
    other), as far as schema and support dialogues tell; an action that isn't in it is called with
    all that is known. `support` is
    without the dialogues that are held out, and `generators` makes of it what answers, when it is
    needed. `content` is the
    digest of schema, support dialogues and feedback, `digest` that of the active adapter `version`,
    and `reply_digest` that of its reply part, if it has one.
    """

    support: SupportSet
    index: DomainIndex
    generators: Generators
    parameters: Mapping[Tuple[str, Optional[str]], FrozenSet[str]]
    content: str
    version: Optional[int]
    digest: Optional[str]
    reply_digest: Optional[str] = None

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.schema.name

    @property
    def schema(self) -> Schema:
        """The domain's schema."""
        return self.support.schema

    @property
    def generator(self) -> RetrievalGenerator:
        """What answers in the domain from its support dialogues."""
        return self.generators.get(self.support)


@dataclass(frozen=True)
class Live:
    """The live domains by name as of a revision of the store, and what the router chooses from."""

    revision: Optional[int] = None
    domains: Mapping[str, LiveDomain] = field(default_factory=dict)
    crowd: Crowd = field(default_factory=lambda: Crowd({}))


@dataclass
class _Reading:
    """What changed being read since `began`, with so many `waiting` for it; `done` holds why that
    failed, where it did.
    """

    began: float = field(default_factory=time.monotonic)
    waiting: int = 0
    done: Future[None] = field(default_factory=Future)


class Catalogue:
    """All live domains. Thread-safe; one cheap query a call while nothing changes, and where
    something did, only the domains that changed are read again: by one thread, however many ask.
    `encoder` is the digest of what `embed` embeds with, by which the store keeps embeddings; None:
    it keeps none. `tokens` are the tracker's: a domain whose schema is too long for it isn't live;
    None: any is.
    """

    def __init__(
        self,
        reach: Reach,
        embed: Embed,
        background: Background,
        generators: Generators,
        *,
        encoder: Optional[str] = None,
        tokens: Optional[Tokens] = None,
    ):
        self._reach = reach
        self._embed = embed
        self._background = background
        self._generators = generators
        self._encoder = encoder
        self._tokens = tokens
        self._live = Live()
        self._reading: Optional[_Reading] = None
        self._lock = threading.Lock()
        reach.when_back = self._read_anew

    def live(self, *, patient: bool = True) -> Live:
        """The live domains, up to date with the store.

        Who isn't `patient` gets them as they were before where what changed takes longer to be read
        than any answer of the store may; the first time, when there is no before, StoreUnavailable.
        Raises StoreError, StoreUnavailable.
        """
        began = time.monotonic()
        revision = self._reach.ask(lambda store: store.revision())
        for _ in range(2):  # what is being read already may have been read before the change
            with self._lock:
                live = self._live
                if live.revision == revision:
                    break
                reading = self._reading or self._begin(live)
                reading.waiting += 1
            seconds: Optional[float] = None
            if not patient:
                until = min(began, reading.began) + self._reach.seconds
                seconds = max(0.0, until - time.monotonic())
            wait([reading.done], seconds)
            with self._lock:
                reading.waiting -= 1
                if not reading.done.done():
                    break
            reading.done.result()
        if self._live.revision is None:
            raise StoreUnavailable("the domains are being read for the first time; ask again")
        return self._live

    def domains(self) -> Mapping[str, LiveDomain]:
        """The live domains by name, up to date with the store. Raises StoreError,
        StoreUnavailable.
        """
        return self.live().domains

    def known(self, name: str) -> Optional[LiveDomain]:
        """The live domain `name`, or None. The store is asked only if it isn't among those read
        last. Raises StoreError, StoreUnavailable.
        """
        found = self._live.domains.get(name)
        return found if found is not None else self.live(patient=False).domains.get(name)

    @property
    def last(self) -> Mapping[str, LiveDomain]:
        """The domains as they were read last; the store isn't asked."""
        return self._live.domains

    @property
    def reachable(self) -> bool:
        """Whether the store answered when it was asked last."""
        return not self._reach.down

    @property
    def ready(self) -> bool:
        """Whether that, and the domains have been read, if there are any."""
        return self.reachable and self._live.revision is not None

    def _read_anew(self) -> None:
        """Begin to read what changed while the store was away, before a message asks for it."""
        with self._lock:
            if self._reading is None:
                self._begin(self._live)

    def _begin(self, before: Live) -> _Reading:
        """Have what changed read, by a thread that ends with the process. Needs the lock."""
        reading = _Reading()
        threading.Thread(
            target=self._update, args=(before, reading), name="onramp-domains", daemon=True
        ).start()
        self._reading = reading
        return reading

    def _update(self, before: Live, reading: _Reading) -> None:
        failure: Optional[BaseException] = None
        try:
            revision = self._reach.ask(lambda store: store.revision())
            if revision != before.revision:
                domains = self._read(before, revision)
                indexes = {name: domain.index for name, domain in domains.items()}
                self._live = Live(revision, domains, Crowd(indexes, before.crowd))
        except BaseException as error:
            failure = error
        with self._lock:
            self._reading = None  # where it failed, the next message has it read anew
            if failure is None:
                reading.done.set_result(None)
            else:
                reading.done.set_exception(failure)
            heard = reading.waiting > 0
        if failure is not None and not heard:
            said = f"what changed in the store can't be read: {failure}"
            more = {} if isinstance(failure, OnrampError) else {"traceback": traceback_of(failure)}
            logger.error("onramp.domains.not_read", event_info=said, **more)

    def _read(self, before: Live, revision: int) -> Dict[str, LiveDomain]:
        changed: Optional[Tuple[str, ...]] = None
        live: Dict[str, LiveDomain] = {}
        since = before.revision
        if since is not None and follows(since, revision):
            changed = self._reach.ask(lambda store: store.dialogues.changed_since(since))
            gone = set(changed)
            live = {name: each for name, each in before.domains.items() if name not in gone}
        summaries = self._reach.ask(lambda store: store.dialogues.summary(changed), much=True)
        for start in range(0, len(summaries), _TOGETHER):
            self._take(live, before, summaries[start : start + _TOGETHER])
        return live

    def _take(
        self, live: Dict[str, LiveDomain], before: Live, summaries: Collection[DomainSummary]
    ) -> None:
        """Bring some domains up to date."""
        new: List[str] = []
        for summary in summaries:
            known = before.domains.get(summary.name)
            if known is not None and known.content == summary.support_digest:
                live[summary.name] = _switched(known, summary)
            else:
                new.append(summary.name)
        if not new:
            return
        embeddings = KnownEmbeddings(self._reach, self._embed, self._encoder, new)
        for summary in summaries:
            if summary.name not in new:
                continue
            try:
                live[summary.name] = self._made(summary, embeddings.of(summary.name))
            except StoreUnavailable:
                raise
            except OnrampError as error:
                said = f"domain {summary.name} is left out: {error}"
                logger.error("onramp.domain.left_out", event_info=said, domain=summary.name)
        embeddings.close()

    def _made(self, summary: DomainSummary, embed: Embed) -> LiveDomain:
        support = self._reach.ask(
            lambda store: store.support(summary.name, held_out=False), much=True
        )
        schema, dialogues = support.schema, support.dialogues
        if self._tokens is not None:
            check_length(self._tokens, schema)  # or it would fail at each message
        version = summary.active_version
        logger.info("onramp.domain.live", domain=summary.name, version=version)
        return LiveDomain(
            support=support,
            index=DomainIndex.build(schema, dialogues, embed, self._background),
            generators=self._generators,
            parameters=taken_slots(schema, dialogues),
            content=support.digest,
            version=summary.active_version,
            digest=summary.active_digest,
            reply_digest=summary.active_reply_digest,
        )


def _switched(known: LiveDomain, summary: DomainSummary) -> LiveDomain:
    """A domain of which nothing but the active version may have changed."""
    version, digest = summary.active_version, summary.active_digest
    reply = summary.active_reply_digest
    if (known.version, known.digest, known.reply_digest) == (version, digest, reply):
        return known
    logger.info("onramp.domain.switched", domain=summary.name, version=version)
    return replace(known, version=version, digest=digest, reply_digest=reply)
