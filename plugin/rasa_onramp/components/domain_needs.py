"""What we need from a bot's domain, and where our slots and API calls go in it."""

from __future__ import annotations

import math
import re
from typing import Any, FrozenSet, List, Optional, Tuple

from rasa.shared.core.constants import DEFAULT_ACTION_NAMES
from rasa.shared.core.domain import Domain
from rasa.shared.core.slots import AnySlot, BooleanSlot, FloatSlot, ListSlot, Slot

from rasa_onramp.dialogue import DONTCARE
from rasa_onramp.generator.quantities import NUMBER_WORDS
from rasa_onramp.rasa_names import DISPATCHER, INTENT, KEY, REPLY, RESULTS, own_actions

__all__ = [
    "form_slots",
    "problems_of_domain",
    "rasa_action_for",
    "rasa_actions",
    "rasa_value",
]

_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


def problems_of_domain(domain: Domain) -> List[str]:
    """What the domain lacks, one line each."""
    missing = []
    if INTENT not in domain.intents:
        missing.append(f"the intent {INTENT}")
    slots = {slot.name: slot for slot in domain.slots}
    for name in (KEY, RESULTS):
        if not isinstance(slots.get(name), AnySlot):
            missing.append(f"the slot {name} of type any")
    for action in (REPLY, DISPATCHER):
        if action not in domain.action_names_or_texts:
            kind = "response" if action == REPLY else "action"
            missing.append(f"the {kind} {action}")
    return [
        f"OnrampPolicy: the domain lacks {what}; run `rasa-onramp init --bot .` or add it"
        for what in missing
    ]


def rasa_action_for(domain: Domain, name: str) -> Optional[str]:
    """The Rasa action that makes the API call `name`: one of that name (with or without `action_`
    before it) that the domain declares, else the dispatcher; None if there is neither. Forms and
    Rasa's own actions ("action_restart") make no calls.
    """
    others = {*DEFAULT_ACTION_NAMES, *domain.form_names}
    declared = [action for action in domain.action_names_or_texts if action not in others]
    return next((action for action in rasa_actions(name) if action in declared), None)


def rasa_actions(name: str) -> Tuple[str, ...]:
    """The Rasa actions that may make the API call `name`, the preferred one first."""
    return (*own_actions(name), DISPATCHER)


def form_slots(domain: Domain) -> FrozenSet[str]:
    """The slots that the bot's forms ask for: they are the forms' to fill."""
    return frozenset(
        name for form in domain.form_names for name in domain.required_slots_for_form(form)
    )


def rasa_value(slot: Slot, values: Tuple[str, ...]) -> Any:
    """A value of ours as the Rasa slot holds it; None where it can't (or there is none)."""
    if not values or values[0] == DONTCARE:
        return None
    value = values[0]
    if isinstance(slot, BooleanSlot):
        return {"true": True, "false": False, "yes": True, "no": False}.get(value.lower())
    if isinstance(slot, FloatSlot):
        return _number(value.strip().lower())
    return [value] if isinstance(slot, ListSlot) else value


def _number(text: str) -> Optional[float]:
    """What "4.5", "1,200" or "two" says; None for what says no number."""
    if text in NUMBER_WORDS:
        return float(NUMBER_WORDS.index(text))
    try:
        number = float(text.replace(",", "") if _GROUPED.fullmatch(text) else text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None  # others are no JSON
