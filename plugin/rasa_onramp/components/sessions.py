"""From Rasa's tracker to our session: what was said, and the states that were understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Collection, List, Mapping, Optional, Sequence, Tuple

from rasa.shared.core.constants import IS_EXTERNAL
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActionReverted,
    ActiveLoop,
    AllSlotsReset,
    BotUttered,
    Event,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.components.payload import (
    INTENT,
    KEY,
    RESULTS,
    domain_of,
    failed_call_of,
    results_of,
    states_of,
    system_turn_of,
    understanding_of,
)
from rasa_onramp.dialogue import Turn
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.session import LONGEST, Session
from rasa_onramp.runtime.understanding import Understanding

__all__ = [
    "REPLY",
    "Replied",
    "applied",
    "call_results",
    "exchanged",
    "form_runs",
    "last_message",
    "payload_in",
    "readable",
    "reply_in",
    "session_before_message",
    "session_of",
    "since_message",
    "text_of",
    "was_executed",
]

#: The action that says what we have to say.
REPLY = "utter_onramp"

#: Turns before a reply that count, at most.
_HISTORY = 40

#: Texts that begin so are commands of Rasa's ("/restart"), not said by anyone.
_COMMAND = "/"

#: After these alone does Rasa leave out more than what was before a session.
_UNDOING = (ActionReverted, ActiveLoop, UserUtteranceReverted)
_BEGINNING = (Restarted, SessionStarted)


@dataclass(frozen=True)
class Replied:
    """A reply of ours: the `domain` that spoke, the conversation as it knows it up to the message
    that was answered, the reply and its template.
    """

    domain: str
    history: Tuple[Turn, ...]
    turn: Turn
    template: str


def applied(tracker: DialogueStateTracker) -> List[Event]:
    """What happened and counts: `tracker.applied_events()`, in a fraction of its time."""
    kinds = set(map(type, tracker.events))  # an `isinstance` of Rasa's events is slow
    if any(issubclass(kind, _UNDOING) for kind in kinds):
        return tracker.applied_events()
    events = list(tracker.events)
    beginning = {kind for kind in kinds if issubclass(kind, _BEGINNING)}
    begins = (place for place, event in enumerate(events, 1) if type(event) in beginning)
    return events[max(begins, default=0) :]


def session_of(tracker: DialogueStateTracker, engine: Engine) -> Session:
    """All of the tracker's conversation: the session in which the next message is said."""
    return _session(applied(tracker), engine)


def session_before_message(tracker: DialogueStateTracker, engine: Engine) -> Session:
    """The conversation up to, and without, the last message: the session in which it was said."""
    return _session(_before_message(tracker), engine)


def last_message(tracker: DialogueStateTracker) -> Optional[UserUttered]:
    """The last message, if somebody said it."""
    events = reversed(applied(tracker))
    message = next((event for event in events if isinstance(event, UserUttered)), None)
    return message if message is not None and _was_said(message) else None


def text_of(message: UserUttered) -> str:
    """What of a message counts: its first characters."""
    return readable((message.text or "")[:LONGEST])


def readable(text: str) -> str:
    """The text, as long as it is, with "?" for halves of characters: JSON can hold half an emoji,
    which no tokenizer takes.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def exchanged(tracker: DialogueStateTracker) -> List[Tuple[str, str]]:
    """Messages before the last one, each with the bot's first answer to it; oldest first."""
    pairs: List[Tuple[str, str]] = []
    waiting: Optional[str] = None
    for event in _before_message(tracker):
        if isinstance(event, UserUttered):
            waiting = text_of(event) if _was_said(event) else None
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
        history = session.since_forgotten(domain)[-_HISTORY:]
        if not history or not history[-1].is_user:
            return None
        return Replied(domain, history, turn, str(metadata.get("template") or ""))
    return None


def form_runs(tracker: DialogueStateTracker, forms: Optional[Collection[str]]) -> bool:
    """Whether a form of the bot's is running; `forms` are the names of its forms, None where they
    aren't known. Rasa's two-stage fallback is a loop, too, but asks for no slot: who says the same
    in other words may mean one of our domains.
    """
    running = tracker.active_loop_name
    return bool(running) and (forms is None or running in forms)


def payload_in(message: UserUttered) -> Any:
    """What OnrampStateTracker left on a message; None if it isn't there."""
    return (message.parse_data or {}).get(KEY)


def since_message(tracker: DialogueStateTracker, message: UserUttered) -> List[Event]:
    """What happened since `message`, oldest first. It may be the last one that counts, and others
    have come since: those that were taken back, or that filled a form.
    """
    since: List[Event] = []
    for event in reversed(tracker.events):
        if event is message:
            break
        since.append(event)
    return since[::-1]


def was_executed(events: Sequence[Event], action: str) -> bool:
    """Whether `action` was run, or refused to run, in `events`."""
    return any(
        isinstance(event, (ActionExecuted, ActionExecutionRejected)) and event.action_name == action
        for event in events
    )


def call_results(
    events: Sequence[Event], action: str, result_slots: Sequence[str]
) -> Optional[Tuple[Mapping[str, str], ...]]:
    """The rows that the Rasa action `action` answered with; None if it failed.

    An action answers by setting the slot `onramp_results`, to [] if there is nothing to tell, or by
    setting slots named as the call's `result_slots`, which make one row. One that sets neither has
    failed: Rasa loses the events of an action that raises.
    """
    started = [
        number
        for number, event in enumerate(events)
        if isinstance(event, ActionExecuted) and event.action_name == action
    ]
    if not started:
        return None
    row, found = {}, False
    for event in events[started[-1] + 1 :]:
        if isinstance(event, ActionExecuted):
            break
        if isinstance(event, SlotSet) and event.key == RESULTS:
            return results_of(event.value)
        if isinstance(event, SlotSet) and event.key in result_slots:
            found = True
            if event.value is not None:
                row[event.key] = str(event.value)
    return (row,) if row else () if found else None


def _before_message(tracker: DialogueStateTracker) -> List[Event]:
    """What happened before the last message; all of it if there is none."""
    events = applied(tracker)
    last = max((i for i, e in enumerate(events) if isinstance(e, UserUttered)), default=len(events))
    return events[:last]


def _was_said(message: UserUttered) -> bool:
    """Whether it is a text that somebody said: no button's command, no reminder, no
    `trigger_intent`.
    """
    text = message.text or ""
    told = (message.metadata or {}).get(IS_EXTERNAL)
    return bool(text.strip()) and not text.startswith(_COMMAND) and not told


def _session(events: Sequence[Event], engine: Engine) -> Session:
    session = Session()
    waiting: Optional[Tuple[str, Understanding]] = None
    heard = elsewhere = False
    for event in events:
        if isinstance(event, UserUttered):
            elsewhere = not _was_said(event)
            if elsewhere:
                continue
            text, payload = text_of(event), payload_in(event)
            understood = _read(payload)
            heard, waiting = True, None
            if payload is None and event.intent.get("name") == INTENT:
                understood = engine.understand(session, text)
                waiting = (text, understood)
            domain = understood.domain if understood is not None else None
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
            session.say(turn, speaker, elsewhere=elsewhere)
        elif isinstance(event, ActionExecuted) and event.action_name == REPLY and waiting:
            # `rasa test` neither keeps payloads nor lets actions speak: do both anew
            _speak(engine, session, *waiting)
            waiting = None
        elif isinstance(event, SlotSet) and event.key == KEY and heard:
            # before any message it is what Rasa carries over from the session before
            if event.value is None:
                session.forget()
            session.states.update(states_of(event.value))
        elif isinstance(event, AllSlotsReset):
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
    if understood.action is not None:  # what it would have answered is anyone's guess
        turn = Turn("system", "", action=understood.action, parameters=understood.parameters)
    else:
        said = session.turns.pop()
        # a test reads every session many times over, and should end the same each time
        reply = engine.reply(session, text, understood, written=False)
        known = session.results.get(understood.domain, ())
        turn = engine.system_turn(reply, understood, known=known)
        session.turns.append(said)
    session.say(turn, understood.domain)
