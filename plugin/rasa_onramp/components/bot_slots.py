"""The bot's own slots that OnrampPolicy sets: those that are named as a domain's."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from rasa.shared.core.domain import Domain
from rasa.shared.core.events import AllSlotsReset, Event, SlotSet, UserUttered
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
    or of its own, stays. What another domain, or a session before, left in them is emptied.
    """
    events = applied(tracker)
    now = domain_of(payload)
    cleared = {slot: () for slot, texts in payload.get("changes", {}).items() if not texts}
    told = {**_values(payload), **cleared}
    known = _known(events, now)
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
        value = rasa_value(slot, tuple(texts))
        if value != slot.value:
            found.append(SlotSet(name, value))
    for name, texts in _left(events, now).items():
        slot = tracker.slots.get(name)
        if slot is None or slot.value is None or name in told or name in kept:
            continue
        if slot.value == rasa_value(slot, tuple(texts)):  # else it is the bot's own by now
            found.append(SlotSet(name, None))
    return found


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


def _left(events: Sequence[Event], domain: Optional[str]) -> Mapping[str, Sequence[str]]:
    """The values that the bot's slots were last set by, if they are not of this conversation with
    `domain`: another's, or carried over by Rasa from a session before.
    """
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        if isinstance(event, AllSlotsReset):
            break
        if isinstance(event, SlotSet) and event.key == KEY:
            heard = any(isinstance(earlier, UserUttered) for earlier in events[:place])
            return {} if heard and domain_of(event.value) == domain else _values(event.value)
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
    """Slots that the bot's validation has emptied, before we had set any for the message."""
    found: Set[str] = set()
    validating = False
    for event in events:
        if isinstance(event, UserUttered):
            validating = True
        elif isinstance(event, SlotSet):
            validating = validating and event.key != KEY
            found.discard(event.key)
            if validating and event.value is None:
                found.add(event.key)
    return found
