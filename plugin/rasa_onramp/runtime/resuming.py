"""Where a message belongs, in the light of what the bot and the user spoke of before."""

from __future__ import annotations

from typing import Optional, Tuple

from rasa_onramp.runtime.domains import Live, LiveDomain
from rasa_onramp.runtime.router import BotView, Route, Routing
from rasa_onramp.runtime.session import Session

__all__ = ["resuming", "routed"]


def routed(
    router: Routing, text: str, session: Session, live: Live, bot: BotView
) -> Tuple[Route, Optional[Route]]:
    """The route of `text`, said next in `session`; and where it is a guess, the route to take
    unless the message tells the domain something new.
    """
    route = router.route(text, live.crowd, active=session.domain, bot=bot)
    resumed = resuming(router, text, session, live, bot) if route.reason == "none" else None
    return (route, None) if resumed is None else (resumed, route)


def resuming(
    router: Routing, text: str, session: Session, live: Live, bot: BotView
) -> Optional[Route]:
    """The route to the domain whose question something else interrupted, if `text` may answer it:
    "under which name?", "when are you open?", "from noon", "it is hana".
    """
    name = session.interrupted
    domain = live.domains.get(name) if name is not None else None
    if domain is None or not _unfinished(session, domain):
        return None
    route = router.route(text, live.crowd, active=domain.name, bot=bot)
    return route if route.domain == domain.name else None


def _unfinished(session: Session, domain: LiveDomain) -> bool:
    """Whether the domain's intent still lacks what it requires."""
    state = session.states.get(domain.name)
    if state is None:
        return False
    for intent in domain.schema.intents:
        if intent.name == state.active_intent:
            return any(not state.values.get(slot) for slot in intent.required_slots)
    return False
