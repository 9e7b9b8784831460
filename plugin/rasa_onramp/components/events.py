"""What happened in a conversation, as Rasa's tracker has it."""

from __future__ import annotations

from typing import Any, Collection, List, Mapping, Optional, Sequence, Tuple

from rasa.shared.core.constants import IS_EXTERNAL
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActionReverted,
    ActiveLoop,
    Event,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.actions.calls import readable
from rasa_onramp.components.payload import result_text, results_of
from rasa_onramp.rasa_names import KEY, RESULTS
from rasa_onramp.runtime.session import LONGEST

__all__ = [
    "applied",
    "call_results",
    "form_runs",
    "last_message",
    "payload_in",
    "since_message",
    "text_of",
    "was_executed",
    "was_said",
]

#: Commands of Rasa's ("/restart") begin so, and are said by nobody. Other texts may, too.
_COMMAND = "/"

#: After these alone does Rasa leave out more than what was before a session.
_UNDOING = (ActionReverted, ActiveLoop, UserUtteranceReverted)
_BEGINNING = (Restarted, SessionStarted)


def applied(tracker: DialogueStateTracker) -> List[Event]:
    """What happened and counts: `tracker.applied_events()`, in a fraction of its time."""
    kinds = set(map(type, tracker.events))  # an `isinstance` of Rasa's events is slow
    if any(issubclass(kind, _UNDOING) for kind in kinds):
        return tracker.applied_events()
    events = list(tracker.events)
    beginning = {kind for kind in kinds if issubclass(kind, _BEGINNING)}
    begins = (place for place, event in enumerate(events, 1) if type(event) in beginning)
    return events[max(begins, default=0) :]


def last_message(tracker: DialogueStateTracker) -> Optional[UserUttered]:
    """The last message, if somebody said it."""
    events = reversed(applied(tracker))
    message = next((event for event in events if isinstance(event, UserUttered)), None)
    return message if message is not None and was_said(message) else None


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


def was_said(message: UserUttered) -> bool:
    """Whether it is a text that somebody said: no button's command, no reminder, no
    `trigger_intent`.
    """
    text = message.text or ""
    told = (message.metadata or {}).get(IS_EXTERNAL)
    if told or not text.strip():
        return False
    if not text.startswith(_COMMAND):
        return True
    payload = payload_in(message)  # which Rasa takes off a command
    return isinstance(payload, Mapping) and payload.get("reason") != "command"


def text_of(message: UserUttered) -> str:
    """What of a message counts: its first characters."""
    return readable((message.text or "")[:LONGEST])


def payload_in(message: UserUttered) -> Any:
    """What OnrampStateTracker left on a message; None if it isn't there."""
    return (message.parse_data or {}).get(KEY)


def form_runs(tracker: DialogueStateTracker, forms: Optional[Collection[str]]) -> bool:
    """Whether a form of the bot's is running; `forms` are the names of its forms, None where they
    aren't known. Rasa's two-stage fallback is a loop, too, but asks for no slot: who says the same
    in other words may mean one of our domains.
    """
    running = tracker.active_loop_name
    return bool(running) and (forms is None or running in forms)


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
            text = result_text(event.value)
            if text is not None:
                row[event.key] = text
    return (row,) if row else () if found else None
