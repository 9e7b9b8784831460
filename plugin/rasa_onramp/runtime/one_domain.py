"""An engine that takes every message for one domain's: to try that domain by itself."""

from __future__ import annotations

import copy
from typing import Any

from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.domain_index import Crowd
from rasa_onramp.runtime.router import Route, Routing

__all__ = ["for_one_domain"]


def for_one_domain(engine: Engine, domain: str) -> Engine:
    """`engine`, whose messages are all `domain`'s; it shares all that is loaded with the given one.

    Messages are routed by the rules of a conversation that is under way; to no domain, where
    `domain` isn't there (any more).
    """
    one = copy.copy(engine)
    one.router = _OneDomain(engine.router, domain)
    return one


class _OneDomain:
    def __init__(self, router: Routing, domain: str):
        self._router = router
        self._domain = domain

    def route(self, text: str, domains: Crowd, **context: Any) -> Route:
        if self._domain not in domains:  # deleted meanwhile
            return Route(None, reason="none")
        return self._router.route(text, domains.only(self._domain), active=self._domain)
