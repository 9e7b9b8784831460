"""The bot's own slots that OnrampPolicy sets: those that are named as a domain's."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, AllSlotsReset, Event, SlotSet, UserUttered
from rasa.shared.core.slots import Slot
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.components.domain_needs import form_slots, rasa_value
from rasa_onramp.components.events import applied
from rasa_onramp.components.payload import domain_of
from rasa_onramp.rasa_names import KEY, RESULTS
from rasa_onramp.runtime.session import state_from_json

__all__ = ["filled", "set_by_bot"]


def filled(
    tracker: DialogueStateTracker,
    domain: Domain,
    payload: Mapping[str, Any],
    theirs: Collection[str],
) -> List[Event]:
    """The bot's slots of the same names as ours, but for those that its forms ask for and `theirs`:
    what changed since we last set them, and what they lack. So a value that the bot made of ours,
    or of its own, stays. What another domain, or a session before, left in them is emptied, to
    their `initial_value`.
    """
    events = applied(tracker)
    heard = (place for place, event in enumerate(events) if isinstance(event, UserUttered))
    first = next(heard, len(events))  # what is set before it, Rasa carries over
    now = domain_of(payload)
    cleared = {slot: () for slot, texts in payload.get("changes", {}).items() if not texts}
    told = {**_values(payload), **cleared}
    known = _known(events[first:], now)
    kept = {*form_slots(domain), *theirs, KEY, RESULTS}
    found: List[Event] = []
    refused: Optional[Set[str]] = None  # looked for at most once
    for name, texts in told.items():
        slot = tracker.slots.get(name)
        stays = texts and slot is not None and known.get(name) == tuple(texts)
        if slot is None or name in kept:
            continue
        if stays and slot.value is not None:
            continue
        if stays:
            refused = _refused(events) if refused is None else refused
            if name in refused:
                continue
        found += _setting(slot, rasa_value(slot, tuple(texts)))
    for name, texts in _left(events, now, first).items():
        slot = tracker.slots.get(name)
        if slot is None or slot.value is None or name in told or name in kept:
            continue
        if slot.value == rasa_value(slot, tuple(texts)):  # else it is the bot's own by now
            found += _setting(slot, None)
    return found


def _setting(slot: Slot, value: Any) -> List[Event]:
    """What sets `slot` to `value`, or empties it as Rasa does; nothing where it is that already."""
    value = slot.initial_value if value is None else value
    return [] if value == slot.value else [SlotSet(slot.name, value)]


def _values(payload: Any) -> Mapping[str, Sequence[str]]:
    """The values of its domain that a payload holds; none in what an action of the bot's made of
    the slot.
    """
    try:
        return state_from_json(payload.get("state")).values
    except (AttributeError, ValueError):
        return {}


def _known(events: Sequence[Event], domain: Optional[str]) -> Dict[str, Tuple[str, ...]]:
    """The values of `domain` that the bot's slots were last set by, but for those that another
    domain, which was talked about since, has too.
    """
    others: Set[str] = set()
    for event in reversed(events):
        if isinstance(event, AllSlotsReset):
            break
        if not isinstance(event, SlotSet) or event.key != KEY:
            continue
        name = domain_of(event.value)
        if name is None:
            break
        values = _values(event.value)
        if name == domain:
            return {slot: tuple(texts) for slot, texts in values.items() if slot not in others}
        others.update(values)
    return {}


def _left(
    events: Sequence[Event], domain: Optional[str], first: int
) -> Mapping[str, Sequence[str]]:
    """The values that the bot's slots were last set by, if they are not of this conversation with
    `domain`: another's, or carried over by Rasa from a session before, which is what stands before
    the `first` message.
    """
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        if isinstance(event, AllSlotsReset):
            break
        if isinstance(event, SlotSet) and event.key == KEY:
            here = place > first and domain_of(event.value) == domain
            return {} if here else _values(event.value)
    return {}


def set_by_bot(done: Sequence[Event], message: UserUttered) -> Set[str]:
    """Slots that were set since the message to something else than an entity of it: what Rasa
    extracts by itself before any policy predicts are our own entities, as they were said.
    """
    said = [entity.get("value") for entity in message.entities]
    found: Set[str] = set()
    for event in done:
        if isinstance(event, SlotSet):
            values = event.value if isinstance(event.value, list) else [event.value]
            found.discard(event.key)  # the last one counts
            if not all(value in said for value in values):
                found.add(event.key)
    return found


def _refused(events: Sequence[Event]) -> Set[str]:
    """Slots that the bot's validation has emptied: what Rasa does with a message before any action
    runs, and before we set slots for it.
    """
    found: Set[str] = set()
    validating = False
    for event in events:
        if isinstance(event, (UserUttered, ActionExecuted)):
            validating = isinstance(event, UserUttered)
        elif isinstance(event, SlotSet):
            validating = validating and event.key != KEY
            found.discard(event.key)
            if validating and event.value is None:
                found.add(event.key)
    return found
