"""What travels in Rasa: the message key and slot `onramp`, the slot `onramp_results`, and the
metadata of our replies. All of it is plain JSON, so that every tracker store keeps it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from rasa_onramp.actions.calls import MAX_ROWS, readable
from rasa_onramp.dialogue import Turn
from rasa_onramp.generator import Reply
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.session import (
    Session,
    span_from_json,
    span_to_json,
    state_from_json,
)
from rasa_onramp.runtime.understanding import Understanding
from rasa_onramp.store.serialise import state_to_json

__all__ = [
    "UNAVAILABLE",
    "abstention",
    "domain_of",
    "failed_call_of",
    "is_unavailable",
    "payload_of",
    "reply_metadata",
    "result_text",
    "results_of",
    "says_goodbye",
    "system_turn_of",
    "understanding_of",
]

#: The reason of a message that a failure kept us from reading.
UNAVAILABLE = "unavailable"

#: How many domains' scores a message carries.
_SCORES = 5


def payload_of(
    understood: Understanding, session: Session, bot: Optional[Mapping[str, Any]] = None
) -> Dict[str, Any]:
    """What the message key `onramp` holds.

    `domain` is None where the message isn't ours, `reason` says why (or why it is), `confidence`
    how sure the router is. `state` is the domain's whole state after the message, `states` that of
    every domain talked about so far. `call` is the API call to make. `bot` is what the bot's own
    NLU made of a message that is ours.
    """
    route = understood.route
    best = sorted(route.scores.items(), key=lambda item: -item[1])[:_SCORES]
    states = {name: state_to_json(state) for name, state in session.states.items()}
    payload: Dict[str, Any] = {
        "domain": route.domain,
        "reason": route.reason,
        "confidence": round(route.score, 4),
        "scores": {name: round(score, 4) for name, score in best},
        "state": None,
        "states": states,
    }
    if route.domain is None:
        return payload
    state = state_to_json(understood.state)
    if understood.in_scope:
        states[route.domain] = state
    call = None
    if understood.action is not None:
        call = {
            "domain": route.domain,
            "name": understood.action,
            "parameters": dict(understood.parameters),
            "url": understood.url,
            "confidence": round(understood.action_confidence, 4),
        }
    payload.update(
        state=state,
        in_scope=understood.in_scope,
        changes={slot: list(values) for slot, values in understood.changes.items()},
        spans=[span_to_json(span) for span in understood.spans],
        slot_confidence={s: round(p, 4) for s, p in understood.slot_confidence.items()},
        intent_confidence=round(understood.intent_confidence, 4),
        call=call,
        adapter=understood.version,
        bot=dict(bot or {}),
    )
    return payload


def abstention(reason: str) -> Dict[str, Any]:
    """The payload of a message that we had nothing to do with."""
    return {"domain": None, "reason": reason, "confidence": 0.0, "scores": {}, "state": None}


def domain_of(payload: Any) -> Optional[str]:
    """The domain that a message belongs to; None for none, or for what is no payload of ours."""
    domain = payload.get("domain") if isinstance(payload, Mapping) else None
    return domain if isinstance(domain, str) else None


def is_unavailable(payload: Any) -> bool:
    """Whether a failure kept us from reading the message."""
    return isinstance(payload, Mapping) and payload.get("reason") == UNAVAILABLE


def understanding_of(payload: Mapping[str, Any]) -> Understanding:
    """The inverse of `payload_of`, as far as a reply needs it. Raises ValueError."""
    call = payload.get("call") or {}
    return Understanding(
        route=Route(domain_of(payload), float(payload.get("confidence", 0.0))),
        state=state_from_json(payload.get("state")),
        in_scope=bool(payload.get("in_scope", True)),
        spans=tuple(span_from_json(span) for span in payload.get("spans", ())),
        action=call.get("name"),
        parameters=dict(call.get("parameters") or {}),
        url=call.get("url"),
    )


def results_of(value: Any) -> Optional[Tuple[Dict[str, str], ...]]:
    """The rows in the slot `onramp_results`; None if the call failed or nothing was set.

    A list of rows, one row, or {"rows": […]} or {"error": …} as action_onramp_call sets it, beside
    the call's name as "action". Rows that say nothing are left out, and those beyond MAX_ROWS.
    """
    if isinstance(value, Mapping):
        ours = value.keys() <= {"action", "rows", "error"}  # a row may have a slot "error"
        if ours and ("error" in value or ("rows" in value and value["rows"] is None)):
            return None
        value = value["rows"] if isinstance(value.get("rows"), (list, tuple)) else [value]
    if not isinstance(value, (list, tuple)):
        return None
    rows = (_row(row) for row in value[:MAX_ROWS] if isinstance(row, Mapping))
    return tuple(row for row in rows if row)


def _row(values: Mapping[Any, Any]) -> Dict[str, str]:
    texts = {readable(str(slot)): result_text(value) for slot, value in values.items()}
    return {slot: text for slot, text in texts.items() if text is not None}


def result_text(value: Any) -> Optional[str]:
    """A result's value as a reply says it, several of a list side by side; None for nothing.

    A bot's own action may have left half an emoji in it.
    """
    if isinstance(value, (list, tuple)):
        return readable(", ".join(str(each) for each in value if each is not None)) or None
    return None if value is None else readable(str(value))


def reply_metadata(turn: Turn, domain: str, reply: Optional[Reply]) -> Dict[str, Any]:
    """The metadata of a reply of ours: what it was made from and which values it states."""
    metadata: Dict[str, Any] = {
        "domain": domain,
        "spans": [span_to_json(span) for span in turn.spans],
        "action": turn.action,
        "parameters": dict(turn.parameters),
        "results": [dict(row) for row in turn.results],
    }
    if reply is not None:
        metadata.update(
            template=reply.template, source=reply.source, confidence=round(reply.confidence, 4)
        )
        if reply.ends:
            metadata["ends"] = True
        if reply.because:
            metadata["because"] = reply.because
    return metadata


def failed_call_of(metadata: Any) -> Optional[Tuple[str, Dict[str, str]]]:
    """The call whose failure a reply of ours told of, with its parameters; None for any other."""
    failed = metadata.get("failed") if isinstance(metadata, Mapping) else None
    if not isinstance(failed, Mapping) or not isinstance(failed.get("action"), str):
        return None
    return failed["action"], dict(failed.get("parameters") or {})


def says_goodbye(metadata: Any) -> bool:
    """Whether a reply of ours was a goodbye."""
    return isinstance(metadata, Mapping) and metadata.get("ends") is True


def system_turn_of(text: str, metadata: Any) -> Tuple[Turn, Optional[str]]:
    """An utterance of the bot as a turn, and the domain that said it (None: the bot itself)."""
    domain = domain_of(metadata)
    if domain is None:
        return Turn("system", text), None
    spans: List[Any] = metadata.get("spans") or []
    try:
        known = tuple(span_from_json(span) for span in spans)
    except ValueError:
        known = ()
    return Turn(
        speaker="system",
        text=text,
        action=metadata.get("action"),
        parameters=dict(metadata.get("parameters") or {}),
        results=results_of(metadata.get("results")) or (),
        spans=tuple(span for span in known if span.end <= len(text)),
    ), domain
