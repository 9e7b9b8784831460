"""Values of ours as Rasa's slots hold them."""

from __future__ import annotations

from typing import Any, Tuple, Type

import pytest

pytest.importorskip("rasa")

from rasa.shared.core.domain import Domain
from rasa.shared.core.slots import AnySlot, BooleanSlot, FloatSlot, ListSlot, Slot, TextSlot

from rasa_onramp.components.domain_needs import rasa_action_for, rasa_value
from rasa_onramp.dialogue import DONTCARE
from rasa_onramp.rasa_names import DISPATCHER

SLOTS = (AnySlot, BooleanSlot, FloatSlot, ListSlot, TextSlot)


def value_in(kind: Type[Slot], *values: str) -> Any:
    return rasa_value(kind("any_slot", mappings=[{"type": "custom"}]), values)


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        (TextSlot, ("friday", "fri"), "friday"),
        (AnySlot, ("friday",), "friday"),
        (ListSlot, ("friday",), ["friday"]),
        (FloatSlot, ("2.5",), 2.5),
        (FloatSlot, ("Two ",), 2.0),
        (FloatSlot, ("1,200",), 1200.0),
        (FloatSlot, ("-1,200,000.5",), -1200000.5),
        (FloatSlot, ("1,20",), None),
        (FloatSlot, ("a few",), None),
        (FloatSlot, ("nan",), None),
        (FloatSlot, ("inf",), None),
        (FloatSlot, ("1e400",), None),
        (BooleanSlot, ("No",), False),
        (BooleanSlot, ("maybe",), None),
    ],
)
def test_a_value_is_what_the_slot_can_hold(
    kind: Type[Slot], values: Tuple[str, ...], wanted: Any
) -> None:
    assert value_in(kind, *values) == wanted


@pytest.mark.filterwarnings("ignore:Slot auto-fill has been removed")  # Rasa's own
def test_forms_and_actions_of_rasas_own_make_no_calls() -> None:
    domain = Domain.from_dict(
        {
            "version": "3.1",
            "actions": ["action_find", "action_onramp_call"],
            "forms": {"order": {"required_slots": []}},
        }
    )
    assert rasa_action_for(domain, "find") == "action_find"
    for name in ("restart", "back", "listen", "order", "anything"):
        assert rasa_action_for(domain, name) == DISPATCHER
    assert rasa_action_for(Domain.empty(), "restart") is None


@pytest.mark.parametrize("kind", SLOTS)
def test_no_slot_holds_that_any_value_will_do(kind: Type[Slot]) -> None:
    assert value_in(kind) is None
    assert value_in(kind, DONTCARE) is None
