"""Which slots of a bot OnrampPolicy sets."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Optional

import pytest

pytest.importorskip("rasa")

from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, AllSlotsReset, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.components import OnrampPolicy
from rasa_onramp.components.payload import KEY, RESULTS, states_of
from rasa_onramp.dialogue import State
from rasa_onramp.store.serialise import state_to_json

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


def hear(
    tracker: DialogueStateTracker,
    *cleared: str,
    domain: str = "trips",
    also: Mapping[str, State] = MappingProxyType({}),
    **values: str,
) -> Dict[str, Any]:
    """A message that leaves a domain with `values`; the bot's slots that are set then."""
    state = {"values": {slot: [value] for slot, value in values.items()}, "active_intent": None}
    payload = {
        "domain": domain,
        "confidence": 1.0,
        "reason": "match",
        "call": None,
        "scores": {"trips": len(tracker.events)},  # no two messages are alike
        "state": state,
        "states": {domain: state, **{name: state_to_json(one) for name, one in also.items()}},
        "changes": {slot: [] for slot in cleared},
    }
    tracker.update(UserUttered("hello", {"name": "onramp"}, parse_data={KEY: payload}))
    return predicted(tracker)


def predicted(tracker: DialogueStateTracker) -> Dict[str, Any]:
    """The bot's slots that the next prediction sets."""
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
    assert tracker.get_slot("city") == "Paris, FR"
    assert hear(tracker, city="paris", people="a few") == {"people": None}  # no number can be that
    assert hear(tracker, city="paris", people="dontcare") == {}


def test_domains_that_share_a_slot_set_it_in_turns(tracker: DialogueStateTracker) -> None:
    assert hear(tracker, city="paris") == {"city": "paris"}
    trips = states_of(tracker.get_slot(KEY))["trips"]
    assert hear(tracker, domain="hotels", also={"trips": trips}, city="rome") == {"city": "rome"}
    assert hear(tracker, city="paris") == {"city": "paris"}


def test_what_an_action_resets_stays_so(tracker: DialogueStateTracker) -> None:
    """It answers our call, and starts the bot over."""
    assert hear(tracker, city="paris") == {"city": "paris"}
    for event in (ActionExecuted("action_onramp_call"), AllSlotsReset(), SlotSet(RESULTS, [])):
        tracker.update(event)
    assert predicted(tracker) == {}
    assert tracker.get_slot("city") is None
    assert hear(tracker, people="4") == {"people": 4.0}
