"""Values of ours as Rasa's slots hold them."""

from __future__ import annotations

from typing import Any, Tuple, Type

import pytest

pytest.importorskip("rasa")

from rasa.shared.core.slots import AnySlot, BooleanSlot, FloatSlot, ListSlot, Slot, TextSlot

from rasa_onramp.components.domain_needs import rasa_value
from rasa_onramp.dialogue import DONTCARE

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
        (FloatSlot, ("two",), None),
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


@pytest.mark.parametrize("kind", SLOTS)
def test_no_slot_holds_that_any_value_will_do(kind: Type[Slot]) -> None:
    assert value_in(kind) is None
    assert value_in(kind, DONTCARE) is None
