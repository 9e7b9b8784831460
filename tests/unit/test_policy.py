"""Which slots of a bot OnrampPolicy sets."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

pytest.importorskip("rasa")

from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.components import OnrampPolicy
from rasa_onramp.components.payload import KEY

CUSTOM = {"mappings": [{"type": "custom"}]}
pytestmark = pytest.mark.filterwarnings("ignore:Slot auto-fill has been removed")  # Rasa's own

DOMAIN = {
    "version": "3.1",
    "intents": ["onramp"],
    "actions": ["action_onramp_call"],
    "responses": {"utter_onramp": [{"text": "."}]},
    "slots": {
        "onramp": {"type": "any", **CUSTOM},
        "onramp_results": {"type": "any", **CUSTOM},
        "city": {"type": "text", **CUSTOM},
        "people": {"type": "float", **CUSTOM},
    },
}


@pytest.fixture
def tracker() -> DialogueStateTracker:
    return DialogueStateTracker("ann", Domain.from_dict(DOMAIN).slots)


def hear(tracker: DialogueStateTracker, *cleared: str, **values: str) -> Dict[str, Any]:
    """A message that leaves our domain with `values`; the bot's slots that are set then."""
    state = {"values": {slot: [value] for slot, value in values.items()}, "active_intent": None}
    payload = {
        "domain": "trips",
        "confidence": 1.0,
        "reason": "match",
        "call": None,
        "scores": {"trips": len(tracker.events)},  # no two messages are alike
        "state": state,
        "states": {"trips": state},
        "changes": {slot: [] for slot in cleared},
    }
    tracker.update(UserUttered("hello", {"name": "onramp"}, parse_data={KEY: payload}))
    config = OnrampPolicy.get_default_config()
    context = ExecutionContext(GraphSchema({}))
    policy = OnrampPolicy(config, None, Resource("policy"), context)  # type: ignore[arg-type]
    events: Optional[List[Any]] = policy.predict_action_probabilities(
        tracker, Domain.from_dict(DOMAIN)
    ).optional_events
    found = {}
    for event in events or []:
        tracker.update(event)
        if event.key != KEY:
            found[event.key] = event.value
    return found


def test_what_changed_and_what_the_bot_lacks_is_set(tracker: DialogueStateTracker) -> None:
    assert hear(tracker, city="paris") == {"city": "paris"}
    assert hear(tracker, city="paris", people="4") == {"people": 4.0}
    assert hear(tracker, city="rome", people="4") == {"city": "rome"}
    tracker.update(SlotSet("city", None))
    assert hear(tracker, city="rome", people="4") == {"city": "rome"}
    assert hear(tracker, "city", people="4") == {"city": None}


def test_what_the_bot_made_of_a_value_stays(tracker: DialogueStateTracker) -> None:
    hear(tracker, city="paris", people="4")
    tracker.update(SlotSet("city", "Paris, FR"))
    assert hear(tracker, city="paris", people="4") == {}
    assert hear(tracker, city="paris", people="a few") == {}  # which a number can't be
    assert tracker.get_slot("people") == 4.0
    assert hear(tracker, city="paris", people="dontcare") == {"people": None}
