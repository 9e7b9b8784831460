"""Which slots of a bot OnrampPolicy sets."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Optional, Sequence

import pytest

pytest.importorskip("rasa")

from rasa.core.actions.action import Action, ActionBack, ActionDefaultFallback, ActionSessionStart
from rasa.core.actions.two_stage_fallback import TwoStageFallbackAction
from rasa.core.channels.channel import CollectingOutputChannel
from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.core.policies.policy import PolicyPrediction
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActiveLoop,
    AllSlotsReset,
    BotUttered,
    Event,
    FollowupAction,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.components import OnrampPolicy, own_actions, speaker
from rasa_onramp.components.events import form_runs, last_message
from rasa_onramp.dialogue import State
from rasa_onramp.logs import Seldom
from rasa_onramp.rasa_names import KEY, REPLY, RESULTS
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
        "size": {"type": "text", "initial_value": "small", **CUSTOM},
    },
    "forms": {"trip_form": {"required_slots": []}},
}


@pytest.fixture
def tracker() -> DialogueStateTracker:
    return DialogueStateTracker("ann", Domain.from_dict(DOMAIN).slots)


def hear(
    tracker: DialogueStateTracker,
    *cleared: str,
    domain: str = "trips",
    also: Mapping[str, State] = MappingProxyType({}),
    said: Optional[Mapping[str, str]] = None,
    call: Optional[str] = None,
    meanwhile: Sequence[Event] = (),
    **values: str,
) -> Dict[str, Any]:
    """A message that leaves a domain with `values`; the bot's slots that are set then."""
    state = {"values": {slot: [value] for slot, value in values.items()}, "active_intent": None}
    payload = {
        "domain": domain,
        "confidence": 1.0,
        "reason": "match",
        "call": call and {"name": call},
        "scores": {"trips": len(tracker.events)},  # no two messages are alike
        "state": state,
        "states": {domain: state, **{name: state_to_json(one) for name, one in also.items()}},
        "changes": {slot: [] for slot in cleared},
    }
    entities = [{"entity": slot, "value": value} for slot, value in (said or {}).items()]
    told = {KEY: payload, "entities": entities}
    tracker.update(UserUttered("hello", {"name": "onramp"}, entities, parse_data=told))
    for event in meanwhile:
        tracker.update(event)
    return predicted(tracker)


def prediction(tracker: DialogueStateTracker, **settings: Any) -> PolicyPrediction:
    config = {**OnrampPolicy.get_default_config(), **settings}
    context = ExecutionContext(GraphSchema({}))
    policy = OnrampPolicy(config, None, Resource("policy"), context)  # type: ignore[arg-type]
    return policy.predict_action_probabilities(tracker, Domain.from_dict(DOMAIN))


def next_action(tracker: DialogueStateTracker) -> Optional[str]:
    """The action that we predict; None where we abstain."""
    found, names = prediction(tracker), Domain.from_dict(DOMAIN).action_names_or_texts
    return names[found.max_confidence_index] if found.max_confidence else None


def predicted(tracker: DialogueStateTracker) -> Dict[str, Any]:
    """The bot's slots that the next prediction sets."""
    events: Optional[List[Any]] = prediction(tracker).optional_events
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


def test_what_the_bot_starts_over_with_is_filled_again(tracker: DialogueStateTracker) -> None:
    hear(tracker, city="paris")
    for event in (
        *(UserUttered("start over", {"name": "restart_order"}), ActionExecuted("action_start")),
        *(SlotSet("city", None), ActionExecuted("action_listen")),
    ):
        tracker.update(event)
    assert hear(tracker, city="paris") == {"city": "paris"}


def test_a_slot_is_emptied_to_its_initial_value(tracker: DialogueStateTracker) -> None:
    assert tracker.get_slot("size") == "small"
    assert hear(tracker, size="large") == {"size": "large"}
    assert hear(tracker, "size") == {"size": "small"}
    assert hear(tracker, "size") == {}
    assert hear(tracker, size="large") == {"size": "large"}
    assert hear(tracker, domain="hotels") == {"size": "small"}  # another domain's value


def test_what_the_bots_validation_makes_of_a_value_stays(tracker: DialogueStateTracker) -> None:
    """Rasa extracts slots, and has them validated, before any policy predicts."""
    said = {"city": "paris"}
    served = [SlotSet("city", "paris"), SlotSet("city", "Paris, FR")]
    assert hear(tracker, said=said, meanwhile=served, city="paris") == {}
    assert tracker.get_slot("city") == "Paris, FR"
    assert hear(tracker, said={"city": "oslo"}, meanwhile=[SlotSet("city")], city="oslo") == {}
    assert tracker.get_slot("city") is None
    assert hear(tracker, city="oslo") == {}  # nor with any message that leaves it as it is
    assert hear(tracker, city="bergen") == {"city": "bergen"}
    # an entity is what was said; what was meant is for the state to say
    said = {"city": "the eternal city"}
    extracted = [SlotSet("city", "the eternal city")]
    assert hear(tracker, said=said, meanwhile=extracted, city="rome") == {"city": "rome"}


def test_a_fallback_that_asks_again_is_no_form(tracker: DialogueStateTracker) -> None:
    two_stages = ActiveLoop("action_two_stage_fallback")
    assert hear(tracker, meanwhile=[two_stages], city="paris") == {"city": "paris"}
    assert form_runs(tracker, None) and not form_runs(tracker, ["trip_form"])
    assert hear(tracker, meanwhile=[ActiveLoop("trip_form")], city="rome") == {}


def test_who_rephrases_after_a_fallback_reaches_our_domain(tracker: DialogueStateTracker) -> None:
    """By Rasa's own action, which takes back what led to it and leaves the last message."""
    domain, fallback = Domain.from_dict(DOMAIN), TwoStageFallbackAction()
    speaker = TemplatedNaturalLanguageGenerator({})
    ranking = [{"name": "nlu_fallback", "confidence": 0.9}, {"name": "greet", "confidence": 0.1}]

    def fall_back() -> None:
        ran = fallback.run(CollectingOutputChannel(), speaker, tracker, domain)
        for event in (ActionExecuted(fallback.name()), *asyncio.run(ran)):
            tracker.update(event, domain)

    for text, intent in (("hm", "nlu_fallback"), ("/out_of_scope", "out_of_scope")):
        parsed = {"intent_ranking": ranking}
        tracker.update(ActionExecuted("action_listen"))
        tracker.update(UserUttered(text, {"name": intent}, parse_data=parsed))
        fall_back()
    assert tracker.active_loop_name == fallback.name()
    tracker.update(ActionExecuted("action_listen"))
    hear(tracker, city="paris")
    fall_back()
    message = last_message(tracker)
    assert message is not None and message.text == "hello" and tracker.active_loop_name is None
    predicted(tracker)
    assert tracker.get_slot("city") == "paris"
    assert tracker.get_slot(KEY)["state"]["values"] == {"city": ["paris"]}


def test_domains_that_share_a_slot_set_it_in_turns(tracker: DialogueStateTracker) -> None:
    assert hear(tracker, city="paris") == {"city": "paris"}
    trips = State({"city": ("paris",)})
    assert hear(tracker, domain="hotels", also={"trips": trips}, city="rome") == {"city": "rome"}
    assert hear(tracker, city="paris") == {"city": "paris"}


def test_what_the_bot_made_of_a_value_outlasts_a_visit_to_another_domain(
    tracker: DialogueStateTracker,
) -> None:
    hear(tracker, city="paris")
    tracker.update(SlotSet("city", "Paris, FR"))
    trips = State({"city": ("paris",)})
    assert hear(tracker, domain="hotels", also={"trips": trips}, people="4") == {"people": 4.0}
    assert hear(tracker, city="paris") == {"people": None}
    assert tracker.get_slot("city") == "Paris, FR"
    # that its validation refused it, too
    hear(tracker, said={"city": "oslo"}, meanwhile=[SlotSet("city")], city="oslo")
    hear(tracker, domain="hotels", people="5")
    assert hear(tracker, city="oslo") == {"people": None} and tracker.get_slot("city") is None


def test_a_value_that_was_never_set_is_set_after_a_visit_to_another_domain(
    tracker: DialogueStateTracker,
) -> None:
    """Another policy's action came first on the message that changed it."""
    hear(tracker, city="paris")
    rome = State({"city": ("rome",)})
    hear(tracker, domain="hotels", also={"trips": rome}, people="4")
    assert hear(tracker, city="rome") == {"city": "rome", "people": None}


def test_what_another_domain_left_is_emptied_unless_the_bot_has_changed_it(
    tracker: DialogueStateTracker,
) -> None:
    assert hear(tracker, city="paris", people="4") == {"city": "paris", "people": 4.0}
    tracker.update(SlotSet("people", 6.0))
    trips = State({"city": ("paris",), "people": ("4",)})
    assert hear(tracker, domain="hotels", also={"trips": trips}) == {"city": None}
    assert hear(tracker, domain="hotels", also={"trips": trips}, people="2") == {"people": 2.0}
    assert hear(tracker, city="paris", people="4") == {"city": "paris", "people": 4.0}


def test_what_a_session_before_left_is_emptied(tracker: DialogueStateTracker) -> None:
    """As Rasa carries it over by default."""
    hear(tracker, city="paris", people="4")
    domain = Domain.from_dict(DOMAIN)
    assert domain.session_config.carry_over_slots
    for event in asyncio.run(ActionSessionStart().run(None, None, tracker, domain)):  # type: ignore[arg-type]
        tracker.update(event)
    assert (tracker.get_slot("city"), tracker.get_slot("people")) == ("paris", 4.0)
    tracker.update(UserUttered("hi", {"name": "greet"}))  # nor is it the first message's to do
    assert hear(tracker, city="paris") == {"people": None}
    assert hear(tracker, city="paris") == {}
    tracker.update(SlotSet("people", 4.0))
    assert hear(tracker, city="paris") == {}  # the bot's own, in this session


def test_what_the_bot_made_of_a_value_a_session_before_is_not_what_is_meant_now(
    tracker: DialogueStateTracker,
) -> None:
    """Tomorrow is another day by then."""
    hear(tracker, city="tomorrow")
    tracker.update(SlotSet("city", "2024-05-31"))
    domain = Domain.from_dict(DOMAIN)
    for event in asyncio.run(ActionSessionStart().run(None, None, tracker, domain)):  # type: ignore[arg-type]
        tracker.update(event)
    assert tracker.get_slot("city") == "2024-05-31"
    assert hear(tracker, city="tomorrow") == {"city": "tomorrow"}


def test_the_slot_holds_what_actions_need_and_no_more(tracker: DialogueStateTracker) -> None:
    """Rasa carries over into a session all that a slot was ever set to."""
    hear(tracker, city="paris", call="book")
    assert tracker.get_slot(KEY) == {
        "domain": "trips",
        "state": {"values": {"city": ["paris"]}, "active_intent": None},
        "call": {"name": "book"},
    }


def test_slots_that_the_bot_keeps_are_neither_set_nor_emptied(
    tracker: DialogueStateTracker,
) -> None:
    hear(tracker, city="paris", people="4")
    payload = {"domain": "hotels", "confidence": 1.0, "reason": "match", "state": {"values": {}}}
    tracker.update(UserUttered("hello", {"name": "onramp"}, parse_data={KEY: payload}))
    events = prediction(tracker, keep_slots=["city"]).optional_events or []
    assert [event.key for event in events if isinstance(event, SlotSet)] == [KEY, "people"]


def test_what_an_action_resets_stays_so(tracker: DialogueStateTracker) -> None:
    """It answers our call, and starts the bot over."""
    assert hear(tracker, city="paris") == {"city": "paris"}
    for event in (ActionExecuted("action_onramp_call"), AllSlotsReset(), SlotSet(RESULTS, [])):
        tracker.update(event)
    assert predicted(tracker) == {}
    assert tracker.get_slot("city") is None
    assert hear(tracker, people="4") == {"people": 4.0}


@pytest.mark.parametrize(
    ("text", "action"), [("qwertz", ActionDefaultFallback()), ("/back", ActionBack())]
)
def test_what_was_answered_is_not_answered_again_when_a_later_message_is_taken_back(
    tracker: DialogueStateTracker, text: str, action: Action
) -> None:
    """By Rasa's own actions."""
    domain, speaker = Domain.from_dict(DOMAIN), TemplatedNaturalLanguageGenerator({})
    tracker.update(ActionExecuted("action_listen"))
    hear(tracker, city="paris", call="book")
    assert next_action(tracker) == "action_onramp_call"
    for event in (ActionExecuted("action_onramp_call"), SlotSet(RESULTS, [])):
        tracker.update(event)
    assert next_action(tracker) == REPLY
    tracker.update(ActionExecuted(REPLY))
    if text == "/back":  # which takes back the message before it as well
        tracker.update(ActionExecuted("action_listen"))
        hear(tracker, city="rome")
        tracker.update(ActionExecuted(REPLY))
    for event in (ActionExecuted("action_listen"), UserUttered(text, {"name": "back"})):
        tracker.update(event)
    assert next_action(tracker) is None
    run = asyncio.run(action.run(CollectingOutputChannel(), speaker, tracker, domain))
    for event in (ActionExecuted(action.name()), *run):
        tracker.update(event)
    message = last_message(tracker)
    assert message is not None and message.parse_data["onramp"]["call"] == {"name": "book"}
    assert next_action(tracker) == "action_listen"


def test_a_call_that_began_a_form_is_not_made_again_after_it(tracker: DialogueStateTracker) -> None:
    """Rasa leaves the answers to a form out of what counts."""
    tracker.update(ActionExecuted("action_listen"))
    hear(tracker, city="paris", call="book")
    for event in (
        *(ActionExecuted("action_onramp_call"), SlotSet(RESULTS, []), FollowupAction("trip_form")),
        *(ActionExecuted("trip_form"), ActiveLoop("trip_form"), ActionExecuted("action_listen")),
        *(UserUttered("four of us", {"name": "inform"}), ActionExecuted("trip_form")),
        *(SlotSet("people", 4.0), ActiveLoop(None)),
    ):
        tracker.update(event)
    message = last_message(tracker)
    assert message is not None and message.text == "hello"
    assert next_action(tracker) == REPLY
    tracker.update(ActionExecuted(REPLY))
    assert next_action(tracker) == "action_listen"


def test_other_policies_may_win_a_message_but_not_our_turn(tracker: DialogueStateTracker) -> None:
    """Where a story names our intent, so that our turns aren't hidden."""
    hear(tracker, call="book")
    tracker.latest_message.parse_data[KEY]["confidence"] = 0.6  # type: ignore[union-attr]

    def sure() -> float:
        return prediction(tracker, calibrated=True).max_confidence

    assert sure() == 0.6
    tracker.update(ActionExecuted("action_log"))  # another's
    assert sure() == 0.6
    for action in ("action_onramp_call", REPLY):
        tracker.update(ActionExecuted(action))
        assert sure() == 1.0


def test_an_action_of_the_bots_own_that_makes_a_call_is_told_of_once(
    tracker: DialogueStateTracker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_actions, "_saying", Seldom())
    hear(tracker, call="cancel_order")
    assert "cancel_order" not in caplog.text  # the dispatcher's
    monkeypatch.setitem(DOMAIN, "actions", ["action_onramp_call", "action_cancel_order"])
    for _ in range(2):
        hear(tracker, call="cancel_order")
        assert next_action(tracker) == "action_cancel_order"
    assert caplog.text.count("cancel_order of the domain trips run the bot's own action_c") == 1


def test_a_reply_that_none_of_ours_spoke_is_told_of(
    tracker: DialogueStateTracker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speaker, "_made", False)
    monkeypatch.setattr(speaker, "_saying", Seldom())
    hear(tracker, city="paris", meanwhile=[ActionExecuted(REPLY), BotUttered("Sorry.")])
    assert "the endpoints file names no OnrampResponseGenerator" in caplog.text
