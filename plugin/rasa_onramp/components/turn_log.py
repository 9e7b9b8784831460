"""One turn as operators see it: counted for Prometheus, and an event in the log.

A message is an `onramp.turn`; what we said to it an `onramp.reply`, of the same conversation.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from rasa_onramp.components.payload import domain_of
from rasa_onramp.generator.neural import WRITTEN
from rasa_onramp.logs import logger_for, pseudonym
from rasa_onramp.runtime.telemetry import count_reply, count_turn

__all__ = ["REPHRASED", "note_rephrasing", "note_reply", "note_turn"]

#: The metadata's `source` of a response of the bot's own that was said in other words.
REPHRASED = "rephrased"

#: How the log and the metrics call `Reply.source`; a support reply's is the turn it is taken from.
_SOURCES = {WRITTEN: "written", "schema": "schema"}

logger = logger_for(__name__)


def note_turn(sender: str, payload: Mapping[str, Any], seconds: float) -> None:
    """A message of `sender` was understood, as `payload` says, in so many seconds."""
    domain, reason = domain_of(payload), str(payload.get("reason"))
    count_turn(domain, reason)
    # a message that isn't ours is of no interest unless somebody looks for it
    log = logger.debug if domain is None else logger.info
    log(
        "onramp.turn",
        conversation=pseudonym(sender),
        decision="abstained" if domain is None else "routed",
        reason=reason,
        domain=domain,
        version=payload.get("adapter"),
        confidence=payload.get("confidence"),
        call=(payload.get("call") or {}).get("name"),
        ms=round(1000 * seconds, 1),
    )


def note_reply(sender: str, metadata: Optional[Mapping[str, Any]], seconds: float) -> None:
    """We answered `sender` with what has `metadata`, or (None) couldn't answer at all."""
    known = metadata or {}
    if metadata is None:
        source, reason = "apology", "unavailable"
    elif "source" not in known:
        source, reason = "apology", str(known.get("because", "call_failed"))
    else:
        source = _SOURCES.get(str(known["source"]), "support")
        reason = str(known.get("because", ""))
    _note(sender, known.get("domain"), source, reason, seconds)


def note_rephrasing(sender: str, rephrased: bool, seconds: float) -> None:
    """A response of the bot's own was to be said in other words, and was or stands."""
    source, reason = (REPHRASED, "") if rephrased else ("template", "unchanged")
    _note(sender, None, source, reason, seconds)


def _note(sender: str, domain: Optional[str], source: str, reason: str, seconds: float) -> None:
    count_reply(source, reason)
    logger.info(
        "onramp.reply",
        conversation=pseudonym(sender),
        domain=domain,
        source=source,
        reason=reason,
        ms=round(1000 * seconds, 1),
    )
