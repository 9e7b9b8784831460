"""One turn of a conversation, without Rasa: route, track, choose the action, reply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence, Tuple, Union

from rasa_onramp.dialogue import State, Turn
from rasa_onramp.embedding import CachedEmbed, Embed
from rasa_onramp.errors import NotFound, OnrampError
from rasa_onramp.generator import Reply
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.neural import SURE, WRITTEN
from rasa_onramp.logs import logger_for, traceback_of
from rasa_onramp.memory import MEGABYTE
from rasa_onramp.metalearning.metric.checkpoint import Metric, load_metric
from rasa_onramp.runtime.adapter_cache import AdapterCache
from rasa_onramp.runtime.background import load_background
from rasa_onramp.runtime.domain_writer import DomainWriter
from rasa_onramp.runtime.domains import Catalogue, LiveDomain
from rasa_onramp.runtime.generators import Generators
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.resuming import guesses
from rasa_onramp.runtime.router import NO_BOT, BotView, Route, Router, Routing
from rasa_onramp.runtime.session import HISTORY, LONGEST, Session
from rasa_onramp.runtime.stated import system_turn
from rasa_onramp.runtime.telemetry import Stopwatch
from rasa_onramp.runtime.turn_reader import TurnReader
from rasa_onramp.runtime.understanding import Understanding, understood_as
from rasa_onramp.store import Store
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.sentences import SentenceEncoder
from rasa_onramp.tracker.together import AskedTurn

__all__ = ["FAILED", "Caller", "Engine", "EngineSettings", "TurnOutcome"]

logger = logger_for(__name__)

#: Replies get up to so many turns more than HISTORY: their model reads on where it left off, so
#: that its beginning may not move at every turn.
_STEP = 20

#: The reply after an API call that failed.
FAILED = "Sorry, that didn't work just now. Please try again in a moment."

#: Makes an API call: (domain, action, parameters, url) → rows; None if it failed.
Caller = Callable[
    [str, str, Mapping[str, str], Optional[str]], Optional[Sequence[Mapping[str, str]]]
]


@dataclass(frozen=True)
class EngineSettings:
    """What can be set. Confidences are probabilities.

    `threshold`: how sure the router must be that a message is a domain's, and `switch_threshold`:
    that it opens another domain's conversation than the active one. `bot_confidence`: from which on
    a host bot's own NLU counts as sure. `action_threshold`: how sure the tracker must be of an API
    call. `cache_mb`: megabytes for adapters that stay in memory with their encoded schemas, and as
    many for support replies that are ready; `reply_cache_mb`: for adapters' reply parts, and as
    many for conversations that the language model has read. `store_seconds`: how long a message
    waits for the store and for what changed in it, and `retry_after`: seconds between attempts to
    reach one that is down. `reply_seconds`: how long the language model may take for a reply.
    `reply_threshold`: from which confidence on a support reply is said as it is instead.
    """

    threshold: float = 0.5
    switch_threshold: float = 0.85
    bot_confidence: float = 0.8
    action_threshold: float = 0.5
    cache_mb: int = 256
    reply_cache_mb: int = 256
    store_seconds: float = 3.0
    retry_after: float = 2.0
    reply_seconds: float = 4.0
    reply_threshold: float = SURE


_DEFAULTS = EngineSettings()


@dataclass(frozen=True)
class TurnOutcome:
    """A whole turn: what was understood, the rows of its API call (None: none was made, or it
    failed), and the reply (None: the message is out of scope).
    """

    understanding: Understanding
    results: Optional[Tuple[Mapping[str, str], ...]] = None
    reply: Optional[Reply] = None


class Engine:
    """Routes, tracks and answers in all domains of a store. Thread-safe.

    A domain that is imported or adapted while the engine runs is live at the next message, or as
    soon as it is read where so much changed that this takes longer than a message waits. With a
    language model (`replies`) the domains whose version was adapted for it answer by it; without,
    and wherever it has nothing that may be said, the support dialogues' replies answer. `encoder`
    is Catalogue's. Raises CheckpointError for a metric of embeddings of another size.
    """

    def __init__(
        self,
        store: Store,
        tracker: StateTracker,
        embed: Embed,
        settings: EngineSettings = _DEFAULTS,
        replies: Optional[ReplyModel] = None,
        *,
        router_metric: Optional[Metric] = None,
        reply_metric: Optional[Metric] = None,
        encoder: Optional[str] = None,
    ):
        self.store = store
        self.tracker = tracker
        self.embed = CachedEmbed(embed)
        self.settings = settings
        self.background = load_background()
        if router_metric is not None:
            self.background = self.background.seen_by(router_metric)
        alike = None if reply_metric is None else reply_metric.after(self.embed)
        limit = settings.cache_mb * MEGABYTE
        self.reach = Reach(store, settings.store_seconds, settings.retry_after)
        self.catalogue = Catalogue(
            self.reach,
            self.embed,
            self.background,
            Generators(self.embed, alike, limit=limit),
            encoder=encoder,
            tokens=tracker.tokens,
        )
        self.adapters = AdapterCache(self.reach, tracker, limit)
        self.reader = TurnReader(tracker)
        self.writer: Optional[DomainWriter] = None
        if replies is not None:
            self.writer = DomainWriter(
                self.reach,
                replies,
                self.embed,
                seconds=settings.reply_seconds,
                sure=settings.reply_threshold,
                limit=settings.reply_cache_mb * MEGABYTE,
            )
        self.router: Routing = Router(
            self.embed,
            self.background,
            threshold=settings.threshold,
            switch_threshold=settings.switch_threshold,
            bot_confidence=settings.bot_confidence,
        )

    @classmethod
    def open(
        cls,
        store: Store,
        *,
        checkpoint: Optional[Union[str, Path]] = None,
        encoder: Union[str, Path] = "all-MiniLM-L6-v2",
        settings: EngineSettings = _DEFAULTS,
        replies: Optional[ReplyModel] = None,
        router_metric: Optional[Union[str, Path]] = None,
        reply_metric: Optional[Union[str, Path]] = None,
    ) -> Engine:
        """An engine on `store` with a tracker checkpoint (None: the shipped one), a sentence
        encoder, and learned metrics to route and to retrieve replies by (None: embeddings as they
        are). Raises CheckpointError.
        """
        sentences = SentenceEncoder.load(encoder)
        return cls(
            store,
            load_tracker(checkpoint),
            sentences.embed,
            settings,
            replies,
            encoder=sentences.digest,
            router_metric=None if router_metric is None else load_metric(router_metric, "domains"),
            reply_metric=None if reply_metric is None else load_metric(reply_metric, "replies"),
        )

    def understand(
        self, session: Session, text: str, *, bot: BotView = NO_BOT, patient: bool = False
    ) -> Understanding:
        """What `text`, said next in `session`, means. The session stays as it is.

        `bot` is what the host bot itself makes of it: a message that is rather the bot's than a
        domain's is routed to none. One that is `patient` waits for all that changed in the store,
        however long that is read. Raises StoreError, StoreUnavailable.
        """
        watch = Stopwatch()
        live = self.catalogue.live(patient=patient)
        route = self.router.route(text, live.crowd, active=session.domain, bot=bot)
        watch.lap("routing")
        understood = Understanding(route)
        if route.domain is not None:
            understood = self._tracked(session, text, route, live.domains[route.domain])
        if understood.idle or route.reason == "none":
            for guess in guesses(self.router, text, session, live, bot, route):
                found = self._tracked(session, text, guess.route, live.domains[guess.name])
                if guess.holds(found):
                    understood = found
                    break
        if understood.domain is not None:
            watch.lap("tracking")
        return understood

    def _tracked(
        self, session: Session, text: str, route: Route, domain: LiveDomain
    ) -> Understanding:
        before = session.states.get(domain.name, State())
        turns = [*session.history(domain.name)[-HISTORY:], Turn("user", text)]
        ready = self.adapters.get(domain.schema, domain.content, domain.version, domain.digest)
        prediction = self.reader.read(AskedTurn(ready, turns, before, offers=True))
        settled, threshold = session.settled(domain.name), self.settings.action_threshold
        return understood_as(prediction, route, domain, before, settled, threshold)

    def reply(
        self,
        session: Session,
        text: str,
        understood: Understanding,
        results: Optional[Sequence[Mapping[str, str]]] = None,
        *,
        written: bool = True,
    ) -> Reply:
        """The answer to `text`, said next in `session` and understood so.

        `results` are the rows of the call that `understood` asks for. Unless it may be `written`,
        and where writing fails, it is one of the support dialogues' replies; `because` says why it
        isn't written. Raises NotFound if the domain is gone, StoreError, StoreUnavailable.
        """
        name = understood.domain
        domain = self.catalogue.known(name) if name is not None else None
        if domain is None:
            raise NotFound(f"no domain {name!r} is live; import it first")
        state = understood.state if understood.in_scope else None
        said = Turn("user", text, state=state, spans=understood.spans)
        called = understood.action if results is not None else None
        rows = results if results is not None else session.results.get(domain.name, ())
        past = session.since_forgotten(domain.name)
        before = next((turn.state for turn in reversed(past) if turn.state is not None), State())
        past = past[max(0, len(past) - HISTORY) // _STEP * _STEP :]
        asked = ([*past, said], state, rows, called, before)
        if self.writer is None or not written:
            reply, otherwise = domain.generator.reply(*asked), "no_model" if written else ""
        else:
            try:
                reply, otherwise = self.writer.generator(domain).reply(*asked), "not_adapted"
            except OnrampError:
                raise
            except Exception as error:  # of a GPU, say
                why = f"a support reply is said instead ({type(error).__name__}: {error})"
                how = traceback_of(error)
                logger.error("onramp.reply.unwritten", event_info=why, traceback=how)
                reply, otherwise = domain.generator.reply(*asked), "unwritten"
        if reply.source == WRITTEN or reply.because:
            return reply
        return replace(reply, because=otherwise)

    def turn(self, session: Session, text: str, call: Optional[Caller] = None) -> TurnOutcome:
        """A whole turn of `session`, which afterwards holds it. `call` makes the API calls; without
        it none is made. Nobody else waits for it, so it waits for all that changed in the store.
        Raises StoreError, StoreUnavailable; the session is then as it was.
        """
        text = text[:LONGEST]
        understood = self.understand(session, text, patient=True)
        if understood.domain is None:
            session.hear(text, None, None)
            return TurnOutcome(understood)
        results: Optional[Tuple[Mapping[str, str], ...]] = None
        failed = False
        if understood.action is not None and call is not None:
            name, parameters = understood.action, understood.parameters
            answered = call(understood.domain, name, parameters, understood.url)
            failed = answered is None
            if failed:
                session.fail(understood.domain, name, parameters)
            results = None if answered is None else tuple(answered)
        if failed:
            reply = Reply(FAILED, FAILED, "failure", 1.0)
        else:
            reply = self.reply(session, text, understood, results)
        known = session.results.get(understood.domain, ())
        session.hear(text, understood.domain, understood.state if understood.in_scope else None)
        turn = self.system_turn(reply, understood, results, known)
        session.say(turn, understood.domain, ends=reply.ends)
        return TurnOutcome(understood, results, reply)

    def system_turn(
        self,
        reply: Reply,
        understood: Understanding,
        results: Optional[Sequence[Mapping[str, str]]] = None,
        known: Sequence[Mapping[str, str]] = (),
    ) -> Turn:
        """`runtime.stated.system_turn`, with what the domain's schema says of its slots."""
        domain = self.catalogue.last.get(understood.domain or "")
        slots = () if domain is None else domain.schema.slots
        hints = {slot.name: slot.description for slot in slots}
        return system_turn(reply, understood, results, known, hints)
