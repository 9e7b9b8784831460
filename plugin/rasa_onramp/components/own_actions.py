"""Calls of our domains' that run an action of the bot's own: meant so, or an accident of names."""

from __future__ import annotations

from typing import Optional

from rasa_onramp.logs import Seldom, logger_for
from rasa_onramp.rasa_names import DISPATCHER

__all__ = ["tell_own_action"]

logger = logger_for(__name__)

_saying = Seldom(24 * 3600.0)  # it may well be meant so


def tell_own_action(domain: Optional[str], call: str, action: str) -> None:
    """Log, once a day at most, that `call` of a domain runs `action`, unless that is the
    dispatcher.
    """
    if action == DISPATCHER or not _saying.due((domain, call)):
        return
    said = (
        f"calls of {call} of the domain {domain} run the bot's own {action}; if it isn't made for "
        "them, rename one of the two"
    )
    logger.warning(
        "onramp.call.own_action", event_info=said, domain=domain, call=call, action=action
    )
