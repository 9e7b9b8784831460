"""Whether what a bot says for us comes from our response generator: without it in the endpoints
file every reply of ours is the bot's own `utter_onramp`.
"""

from __future__ import annotations

from typing import Sequence

from rasa.shared.core.events import ActionExecuted, BotUttered, Event

from rasa_onramp.logs import Seldom, logger_for
from rasa_onramp.rasa_names import KEY, REPLY

__all__ = ["note_speaker", "tell_if_unspoken"]

logger = logger_for(__name__)

_made = False
_saying = Seldom()


def note_speaker() -> None:
    """This process has a response generator of ours."""
    global _made
    _made = True


def tell_if_unspoken(done: Sequence[Event]) -> None:
    """Log, at most once a minute, that a reply in `done`, what happened since a message, was none
    of our generator's, where this process has none.
    """
    if not _made and _by_another(done) and _saying.due():
        said = (
            "the endpoints file names no OnrampResponseGenerator, so that all of our replies are "
            "the bot's utter_onramp; `rasa-onramp init --bot DIR --endpoints FILE` adds it"
        )
        logger.error("onramp.replies.not_ours", event_info=said)


def _by_another(done: Sequence[Event]) -> bool:
    replying = False
    for event in done:
        if isinstance(event, ActionExecuted):
            replying = event.action_name == REPLY
        elif replying and isinstance(event, BotUttered) and KEY not in event.metadata:
            return True
    return False
