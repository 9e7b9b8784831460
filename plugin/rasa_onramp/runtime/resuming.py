"""Where a message may belong besides: what the bot and the user spoke of before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional

from rasa_onramp.generator.situation import missing_slots
from rasa_onramp.runtime.domains import Live, LiveDomain
from rasa_onramp.runtime.router import BotView, Route, Routing
from rasa_onramp.runtime.session import Session
from rasa_onramp.runtime.understanding import Understanding

__all__ = ["Guess", "guesses"]


@dataclass(frozen=True)
class Guess:
    """A route to the domain called `name`, taken if what the message then means bears it out.

    `parted`: the domain had said goodbye. `nobodys`: the message is else no domain's.
    """

    name: str
    route: Route
    nobodys: bool
    parted: bool = False

    def holds(self, understood: Understanding) -> bool:
        """Whether to take it: the message tells the domain something new, or has it make a call and
        is else nobody's ("ok" may be said to another domain's answer). To one that has said goodbye
        it need only be like what is said to it.
        """
        if self.parted:
            return understood.in_scope
        return bool(understood.changes or (self.nobodys and understood.action))


def guesses(
    router: Routing, text: str, session: Session, live: Live, bot: BotView, route: Route
) -> Iterator[Guess]:
    """Where `text`, said next in `session`, may belong, where its `route` is to none, or to a
    domain that it says nothing to.

    First, the domain whose question something else interrupted: "under which name?", "when are
    you open?", "from noon", "it is hana". Then, for what is nobody's, the one that has just said
    goodbye: "you're welcome, goodbye", "oh, and make it friday".
    """
    asked, nobodys = session.interrupted, route.domain is None
    if asked is not None and _waits(session, live.domains.get(asked[0]), asked[1]):
        back = _in_context(router, text, asked[0], live, bot)
        if back is not None:
            yield Guess(asked[0], back, nobodys)
    if nobodys and session.left is not None:
        again = _in_context(router, text, session.left, live, bot)
        if again is not None:
            yield Guess(session.left, again, nobodys, parted=True)


def _in_context(router: Routing, text: str, name: str, live: Live, bot: BotView) -> Optional[Route]:
    """The route to a domain as if it were active, if that gets the message."""
    route = router.route(text, live.crowd, active=name, bot=bot)
    return route if route.domain == name else None


def _waits(session: Session, domain: Optional[LiveDomain], words: str) -> bool:
    """Whether a domain whose last `words` these were waits for an answer: its intent still lacks
    what it requires, or it asked, and has made no call for what is known now.
    """
    state = session.states.get(domain.name) if domain is not None else None
    if domain is None or state is None:
        return False
    if missing_slots(domain.schema, state):
        return True
    return "?" in words and not session.settled(domain.name)
