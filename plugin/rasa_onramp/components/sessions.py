"""From Rasa's tracker to our session: what was said, and the states that were understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

from rasa.shared.core.events import (
    ActionExecuted,
    AllSlotsReset,
    BotUttered,
    Event,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.actions.calls import readable
from rasa_onramp.components.events import (
    applied,
    payload_in,
    text_of,
    was_said,
)
from rasa_onramp.components.payload import (
    domain_of,
    failed_call_of,
    is_unavailable,
    says_goodbye,
    system_turn_of,
    understanding_of,
)
from rasa_onramp.dialogue import Turn
from rasa_onramp.rasa_names import INTENT, KEY, REPLY
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.session import HISTORY, Session
from rasa_onramp.runtime.understanding import Understanding

__all__ = [
    "Replied",
    "exchanged",
    "reply_in",
    "session_before_message",
    "session_of",
]


@dataclass(frozen=True)
class Replied:
    """A reply of ours: the `domain` that spoke, the conversation as it knows it up to the message
    that was answered, the reply and its template.
    """

    domain: str
    history: Tuple[Turn, ...]
    turn: Turn
    template: str


def session_of(tracker: DialogueStateTracker, engine: Engine) -> Session:
    """All of the tracker's conversation: the session in which the next message is said."""
    return _session(applied(tracker), engine)


def session_before_message(tracker: DialogueStateTracker, engine: Engine) -> Session:
    """The conversation up to, and without, the last message: the session in which it was said."""
    return _session(_before_message(tracker), engine)


def exchanged(tracker: DialogueStateTracker) -> List[Tuple[str, str]]:
    """Messages before the last one, each with the bot's first answer to it; oldest first."""
    pairs: List[Tuple[str, str]] = []
    waiting: Optional[str] = None
    for event in _before_message(tracker):
        if isinstance(event, UserUttered):
            waiting = text_of(event) if was_said(event) else None
        elif isinstance(event, BotUttered) and event.text and waiting is not None:
            pairs.append((waiting, readable(event.text)))
            waiting = None
    return pairs


def reply_in(
    tracker: DialogueStateTracker, engine: Engine, text: Optional[str] = None
) -> Optional[Replied]:
    """The last reply of ours in a conversation, or the last with this text; None without any."""
    wanted = None if text is None else text.strip()
    events = applied(tracker)
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        if not isinstance(event, BotUttered) or not event.text:
            continue
        metadata = event.metadata.get(KEY)
        turn, domain = system_turn_of(event.text, metadata)
        if domain is None or wanted not in (None, event.text.strip()):
            continue
        heard = [n for n in range(place) if isinstance(events[n], UserUttered)]
        session = _session(events[: heard[-1] + 1] if heard else [], engine)
        history = session.since_forgotten(domain)[-HISTORY:]
        if not history or not history[-1].is_user:
            return None
        return Replied(domain, history, turn, str(metadata.get("template") or ""))
    return None


def _before_message(tracker: DialogueStateTracker) -> List[Event]:
    """What happened before the last message; all of it if there is none."""
    events = applied(tracker)
    last = max((i for i, e in enumerate(events) if isinstance(e, UserUttered)), default=len(events))
    return events[:last]


def _session(events: Sequence[Event], engine: Engine) -> Session:
    session = Session()
    waiting: Optional[Tuple[str, Understanding]] = None
    heard = elsewhere = False
    kept: Optional[str] = None  # the domain whose conversation a failure of ours interrupted
    for event in events:
        if isinstance(event, UserUttered):
            active, kept = session.domain, None
            elsewhere = not was_said(event)
            if elsewhere:
                continue
            text, payload = text_of(event), payload_in(event)
            understood = _read(payload)
            heard, waiting = True, None
            if payload is None and event.intent.get("name") == INTENT:
                understood = engine.understand(session, text)
                waiting = (text, understood)
            kept = active if is_unavailable(payload) else None
            domain = understood.domain if understood is not None else kept
            in_scope = understood is not None and domain is not None and understood.in_scope
            session.hear(text, domain, understood.state if understood and in_scope else None)
        elif isinstance(event, BotUttered) and not event.text:
            if elsewhere:  # a picture, say
                session.leave()
        elif isinstance(event, BotUttered):
            waiting = None
            metadata = event.metadata.get(KEY)
            turn, speaker = system_turn_of(readable(event.text), metadata)
            failed = failed_call_of(metadata)
            if speaker is not None and failed is not None:
                session.fail(speaker, *failed)
            ends = says_goodbye(metadata)
            session.say(turn, speaker or kept, elsewhere=elsewhere, ends=ends)
        elif isinstance(event, ActionExecuted) and event.action_name == REPLY and waiting:
            # `rasa test` neither keeps payloads nor lets actions speak: do both anew
            _speak(engine, session, *waiting)
            waiting = None
        elif isinstance(event, AllSlotsReset):
            session.forget()
        elif isinstance(event, SlotSet) and event.key == KEY and event.value is None and heard:
            # before any message it is what Rasa carries over from the session before
            session.forget()
    return session


def _read(payload: Any) -> Optional[Understanding]:
    if domain_of(payload) is None:
        return None
    try:
        return understanding_of(payload)
    except (AttributeError, TypeError, ValueError):
        return None


def _speak(engine: Engine, session: Session, text: str, understood: Understanding) -> None:
    if understood.domain is None:
        return
    ends = False
    if understood.action is not None:  # what it would have answered is anyone's guess
        turn = Turn("system", "", action=understood.action, parameters=understood.parameters)
    else:
        said = session.turns.pop()
        # a test reads every session many times over, and should end the same each time
        reply = engine.reply(session, text, understood, written=False)
        known = session.results.get(understood.domain, ())
        turn, ends = engine.system_turn(reply, understood, known=known), reply.ends
        session.turns.append(said)
    session.say(turn, understood.domain, ends=ends)
