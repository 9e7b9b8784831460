"""Which domain a message belongs to, or none: metric-based few-shot classification.

A domain is known by its support utterances' embeddings and their means, the prototypes of
prototypical networks (Snell et al. 2017); by its descriptions alone where it has no dialogues. How
alike a message is to a domain is counted in standard deviations above the background's likenesses
(background.py), its words counted by themselves (words.py), and a logistic curve makes a
probability of it. bench/router_weights.py shows what its constants bring on training domains,
bench/routing.py and bench/routing_many.py what comes out on others.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Protocol

import torch
from torch import Tensor

from rasa_onramp.embedding import Embed
from rasa_onramp.errors import ConfigError
from rasa_onramp.runtime.background import Background, Heard
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex, Likeness

__all__ = ["NO_BOT", "BotView", "Route", "Router", "Routing", "words_in"]

#: p = logistic(_SLOPE · (deviations − _MIDPOINT)).
_SLOPE, _MIDPOINT = 3.0, 2.2

#: Deviations by which another domain must beat the active one.
_LEAD = 1.0

#: Likeness from which on a message is nearly one of the host bot's examples, and by how much more
#: it must be like that than like anything of ours; less where the bot's NLU is sure as well.
_OWN_NEAREST, _OWN_LEAD, _OWN_LEAD_SURE = 0.5, 0.15, 0.05

#: Deviations by which the bot's examples may be behind the best domain, and still get a message
#: that the bot's NLU is sure of.
_OWN_BEHIND_SURE = 0.5

#: Deviations by which a first message is like a domain's openings: what is like its other messages
#: only ("it is Hana") is an answer, and nobody has asked.
_LEAST_OPENING = 1.5

#: By how much likeness a first message must be nearer to a domain's than to what is said anywhere,
#: _ANSWERS and _SMALL_TALK: "thanks" is a message in many support dialogues.
_ANYWHERE_LEAD = 0.02

#: Likeness to one of _ANSWERS from which on a message is one: it opens no other domain's
#: conversation, however alike it is to what does.
_ANSWER_NEAREST = 0.8

#: Likeness below which nothing said in the active domain's dialogues, nor an answer, is like a
#: message; the router is then in doubt whether it is the domain's.
_LEAST_NEAR = 0.5

_WORD = re.compile(r"(?<!\S)[^\W\d_]{2}[^\d\s]*(?!\S)")

#: Words of a first message at least, and of one that leaves the active domain for another.
_FEWEST, _FEWEST_TO_SWITCH = 1, 3

#: What means something only as an answer to what was said before,
_ANSWERS = (
    *("yes", "yes please", "yeah", "yep", "sure", "ok", "fine", "correct", "that's right", "right"),
    *("exactly", "sounds good", "perfect", "great", "please do", "go ahead", "no", "nope"),
    *("no thanks", "not really", "that's not right", "that's all", "no that's all", "thanks"),
    *("nothing else", "thank you", "thanks a lot", "the first one", "the second one", "either"),
    *("the last one", "any", "I don't mind", "I don't care", "whatever", "it doesn't matter"),
    *("none of those", "anything else?", "what else is there", "today", "tomorrow", "now", "later"),
    *("Monday", "Friday", "next week", "5 pm", "in the morning", "in the afternoon", "two"),
    *("that's it, cheers", "that was all I needed", "all good now", "lovely, thanks"),
    *("much appreciated", "perfect, cheers mate", "brilliant, bye"),
)

#: and what people say to any bot.
_SMALL_TALK = (
    *("hello", "hi", "hey", "hi there", "good morning", "good afternoon", "good evening"),
    *("goodbye", "bye", "see you later", "have a nice day", "how are you?", "what's up"),
    *("are you a bot?", "am I talking to a human?", "who are you?", "what can you do?", "help"),
    *("can you help me?", "I need help", "I have a question", "tell me a joke", "start over"),
    *("I don't understand", "what do you mean?", "you are stupid", "I want to talk to a person"),
)


@dataclass(frozen=True)
class Route:
    """Where a message goes: a `domain`, or None.

    `score` is the probability that the message is the domain's (that of the best one, if None; by
    context, that it opens no other domain's conversation), and `scores` those by the message alone,
    of the domains that it was compared with: all, unless they are many. `reason` is one of "match"
    (it is like the domain's openings and messages), "context" (the domain is active and nothing
    else claims the message), "none" (out of scope), "bot" (rather the host bot's own). `doubtful`:
    routed by context, and unlike anything said in the domain's support dialogues.
    """

    domain: Optional[str]
    score: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str = "match"
    doubtful: bool = False


@dataclass(frozen=True)
class BotView:
    """What a host bot makes of a message itself: its own `examples`, and how sure its NLU is of one
    of its intents (0 where that is a fallback).
    """

    examples: Optional[DomainIndex] = None
    confidence: float = 0.0

    def likeness(self, heard: Heard) -> Optional[Likeness]:
        """Of a message to its examples; None without any."""
        return None if self.examples is None else self.examples.likeness(heard)


#: Where there is no host bot.
NO_BOT = BotView()


class Routing(Protocol):
    """Says where messages belong."""

    def route(
        self,
        text: str,
        domains: Crowd,
        *,
        active: Optional[str] = None,
        bot: BotView = NO_BOT,
    ) -> Route:
        """Where `text` belongs among `domains`. `active` is the domain that spoke last."""


class Router:
    """Routes messages.

    `threshold` and `switch_threshold` are probabilities: of the message being a domain's where no
    domain is active, and of it opening another domain's conversation where one is. A host bot's NLU
    counts as sure from `bot_confidence` on. Raises ConfigError if the background was made with
    another kind of encoder.
    """

    def __init__(
        self,
        embed: Embed,
        background: Background,
        *,
        threshold: float = 0.5,
        switch_threshold: float = 0.85,
        bot_confidence: float = 0.8,
    ):
        self._embed = embed
        self._background = background
        self._threshold = threshold
        self._switch_threshold = switch_threshold
        self._bot_confidence = bot_confidence
        answers = embed([*_ANSWERS, *_SMALL_TALK])
        if answers.shape[1] != len(background.mean):
            raise ConfigError(
                f"the encoder's embeddings have {answers.shape[1]} dimensions, but the router's "
                f"background has {len(background.mean)}; use all-MiniLM-L6-v2"
            )
        self._anywhere = background.centred(answers)
        self._answers = self._anywhere[: len(_ANSWERS)]

    def route(
        self,
        text: str,
        domains: Crowd,
        *,
        active: Optional[str] = None,
        bot: BotView = NO_BOT,
    ) -> Route:
        """Where `text` belongs among `domains`. `active` is the domain that spoke last.

        Short answers stay with the active domain; another domain, or the host `bot`, must claim a
        message clearly to get it.
        """
        if not domains:
            return Route(None, reason="none")
        if active is not None and active not in domains:
            active = None
        embedding = self._embed([text])[0]
        with torch.inference_mode():
            return self._route(text, self._background.heard(text, embedding), domains, active, bot)

    def _route(
        self, text: str, heard: Heard, domains: Crowd, active: Optional[str], bot: BotView
    ) -> Route:
        found = domains.likenesses(heard, active)
        scores = {name: _probability(likeness.message) for name, likeness in found.items()}
        sure = bot.confidence >= self._bot_confidence
        lead = _OWN_LEAD_SURE if sure else _OWN_LEAD
        if active is not None:
            own = bot.likeness(heard)
            return self._in_context(text, heard.row, found, scores, active, own, lead)
        best = max(found, key=lambda name: found[name].message)
        score = scores[best]
        anywhere = float((self._anywhere @ heard.row).max())
        if (
            score < self._threshold
            or found[best].opening < _LEAST_OPENING
            or anywhere > found[best].nearest - _ANYWHERE_LEAD
            or len(words_in(text)) < _FEWEST
        ):
            return Route(None, min(score, 1 - anywhere), scores, "none")
        own = bot.likeness(heard)
        if _nearly_said(own, found[best].nearest, lead):
            return Route(None, score, scores, "bot")
        behind = _OWN_BEHIND_SURE if sure else 0.0
        if own is not None and own.message >= found[best].message - behind:
            return Route(None, score, scores, "bot")
        return Route(best, score, scores, "match")

    def _in_context(
        self,
        text: str,
        row: Tensor,
        found: Mapping[str, Likeness],
        scores: Dict[str, float],
        active: str,
        own: Optional[Likeness],
        lead: float,
    ) -> Route:
        here = found[active]
        answer = float((self._answers @ row).max())
        near = max(here.nearest, answer)
        if _nearly_said(own, near, lead):
            return Route(None, scores[active], scores, "bot")
        others = [name for name in found if name != active]
        opens = 0.0
        if others:
            other = max(others, key=lambda name: found[name].opening)
            ahead = found[other].opening - max(here.message, here.opening)
            opens = _probability(found[other].opening)
            opening = answer < _ANSWER_NEAREST and len(words_in(text)) >= _FEWEST_TO_SWITCH
            if opening and opens >= self._switch_threshold and ahead >= _LEAD:
                return Route(other, opens, scores, "match")
        doubtful = scores[active] < self._threshold and near < _LEAST_NEAR
        return Route(active, max(scores[active], 1 - opens), scores, "context", doubtful)


def words_in(text: str) -> List[str]:
    """The words of a text that have two letters or more: no codes, numbers, single letters."""
    return _WORD.findall(text)


def _nearly_said(own: Optional[Likeness], near: float, lead: float) -> bool:
    """Whether a message is nearly one of the host bot's examples, and nearer to it by `lead` than
    anything is of ours.
    """
    return own is not None and own.nearest > max(_OWN_NEAREST, near + lead)


def _probability(deviations: float) -> float:
    exponent = _SLOPE * (deviations - _MIDPOINT)
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, exponent))))
