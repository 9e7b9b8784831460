"""OnrampPolicy: makes the API call and says the reply on messages that are ours, else abstains."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence

from rasa.core.constants import POLICY_PRIORITY, RULE_POLICY_PRIORITY
from rasa.core.policies.policy import Policy, PolicyPrediction
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event, SlotSet, UserUttered
from rasa.shared.core.generator import TrackerWithCachedStates
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.components.bot_slots import filled, set_by_bot
from rasa_onramp.components.domain_needs import problems_of_domain, rasa_action_for
from rasa_onramp.components.events import (
    form_runs,
    last_message,
    payload_in,
    since_message,
    text_of,
    was_executed,
)
from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.own_actions import tell_own_action
from rasa_onramp.components.payload import domain_of, payload_of
from rasa_onramp.components.sessions import session_before_message
from rasa_onramp.components.settings import refuse
from rasa_onramp.components.speaker import tell_if_unspoken
from rasa_onramp.logs import logger_for
from rasa_onramp.provenance import code_digest
from rasa_onramp.rasa_names import INTENT, KEY, REPLY, RESULTS
from rasa_onramp.runtime.settings import check_keys

__all__ = ["OnrampPolicy"]

logger = logger_for(__name__)

#: Below rules, and as memoised stories: of two policies as sure, Rasa takes the first in the list.
_PRIORITY = RULE_POLICY_PRIORITY - 1

#: Within a turn of ours that is hidden, which no policy but rules sees anything of.
_WITHIN = RULE_POLICY_PRIORITY - 0.5

#: What training leaves in the model.
_FILE = "onramp_policy.json"

#: What of a payload the slot `onramp` holds. Each message sets it, and Rasa carries over into the
#: next session all that was ever set.
_TOLD = ("domain", "in_scope", "state", "call")


@DefaultV1Recipe.register(
    DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT, is_trainable=True
)
class OnrampPolicy(Policy):
    """Predicts an API action, `utter_onramp` and `action_listen` on a message that
    OnrampStateTracker found to be ours; abstains on any other, and while a form is running.

    To the bot's own stories these turns are hidden, as Rasa hides those of rules that stand in no
    story, so that they go on as if nothing had been said in between; unless they name our intent.
    """

    _hides = False  # set by `load`

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The default configuration (see parent class)."""
        return {
            POLICY_PRIORITY: _PRIORITY,
            "fill_slots": True,
            "keep_slots": [],
            "calibrated": False,
        }

    @classmethod
    def fingerprint_addon(cls, config: Dict[str, Any]) -> Optional[str]:
        """A digest of our code (see parent class)."""
        return code_digest()

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> OnrampPolicy:
        """For training. Raises InvalidConfigException for settings that can't be used."""
        boolean = (lambda value: isinstance(value, bool), "true or false")
        checks = {
            POLICY_PRIORITY: (_is_priority, f"a whole number from 1 to {_PRIORITY}, below rules"),
            "fill_slots": boolean,
            "keep_slots": (_are_names, "a list of names of slots"),
            "calibrated": boolean,
        }
        refuse(check_keys("OnrampPolicy", config, checks))
        return cls(config, model_storage, resource, execution_context)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> OnrampPolicy:
        """For running, with what training left."""
        policy = cls(config, model_storage, resource, execution_context)
        try:
            with model_storage.read_from(resource) as folder:
                policy._hides = json.loads((folder / _FILE).read_text("utf-8"))["hides_turns"]
        except (OSError, KeyError, TypeError, ValueError) as error:
            said = f"the bot's stories see our turns ({error}); run `rasa train`"
            logger.error("onramp.policy.unreadable", event_info=said)
        return policy

    def train(
        self, training_trackers: List[TrackerWithCachedStates], domain: Domain, **kwargs: Any
    ) -> Resource:
        """Learns whether a story names our intent. Raises InvalidConfigException if the domain
        lacks what we need.
        """
        slots = {slot.name for slot in domain.slots}
        unknown = [name for name in self.config["keep_slots"] if name not in slots]
        problems = problems_of_domain(domain)
        if unknown:
            listed = ", ".join(map(repr, unknown))
            said = "no slots of the domain's; name slots that it has"
            problems.append(f"OnrampPolicy: keep_slots has {listed}, {said}")
        refuse(problems)
        named = any(
            isinstance(event, UserUttered) and event.intent_name == INTENT
            for tracker in training_trackers
            if not tracker.is_rule_tracker
            for event in tracker.events
        )
        with self._model_storage.write_to(self._resource) as folder:
            (folder / _FILE).write_text(json.dumps({"hides_turns": not named}), "utf-8")
        return self._resource

    def predict_action_probabilities(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        rule_only_data: Optional[Dict[str, Any]] = None,
        **kwargs: Any,
    ) -> PolicyPrediction:
        """The next action on a message of ours, else zeros (see parent class). Never raises."""
        try:
            return self._predict(tracker, domain)
        except Exception as error:
            runtime = current_runtime()
            if runtime is not None:
                runtime.abstain("an action", error)
            return self._abstain(domain)

    def _predict(self, tracker: DialogueStateTracker, domain: Domain) -> PolicyPrediction:
        message = last_message(tracker)
        if message is None or form_runs(tracker, domain.form_names):
            return self._abstain(domain)
        payload = _payload(tracker, message)
        if payload is None or problems_of_domain(domain):
            return self._abstain(domain)
        done = since_message(tracker, message)
        events: List[Event] = []
        begun = was_executed(done, REPLY)
        if begun:
            tell_if_unspoken(done)
            action = ACTION_LISTEN_NAME
        else:
            call = payload.get("call")
            wanted = rasa_action_for(domain, call["name"]) if call else None
            if call and wanted is None:
                said = f"the domain declares no action for the API call {call['name']}"
                logger.error("onramp.call.undeclared", event_info=said, call=call["name"])
            begun = wanted is not None and was_executed(done, wanted)
            if call and wanted and not begun:
                action = wanted
                tell_own_action(domain_of(payload), call["name"], wanted)
            else:
                action = REPLY
            events = self._events(tracker, domain, payload, action != REPLY, message, done)
        probabilities = self._default_predictions(domain)
        hidden = any(isinstance(event, ActionExecuted) and event.hide_rule_turn for event in done)
        settled = begun or hidden or not self.config["calibrated"]
        sure = 1.0 if settled else float(payload["confidence"])
        probabilities[domain.index_for_action(action)] = sure
        prediction = self._prediction(
            probabilities,
            optional_events=events,
            action_metadata={KEY: {k: payload[k] for k in ("domain", "confidence", "reason")}},
        )
        prediction.hide_rule_turn = self._hides
        if hidden:
            prediction.policy_priority = _WITHIN
        return prediction

    def _events(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        payload: Mapping[str, Any],
        calling: bool,
        message: UserUttered,
        done: Sequence[Event],
    ) -> List[Event]:
        """The slots to set, should this prediction win. `done`: what happened since the message."""
        events: List[Event] = []
        told = {key: payload[key] for key in _TOLD if key in payload}
        # once a message: an action of the bot's may have reset what it set
        if not any(isinstance(e, SlotSet) and (e.key, e.value) == (KEY, told) for e in done):
            events.append(SlotSet(KEY, told))
            if self.config["fill_slots"]:
                theirs = {*self.config["keep_slots"], *set_by_bot(done, message)}
                events += filled(tracker, domain, payload, theirs)
        if calling and tracker.get_slot(RESULTS) is not None:
            events.append(SlotSet(RESULTS, None))  # the last call's
        return events

    def _abstain(self, domain: Domain) -> PolicyPrediction:
        return self._prediction(self._default_predictions(domain))


def _payload(tracker: DialogueStateTracker, message: UserUttered) -> Optional[Mapping[str, Any]]:
    """What was understood, if the message is ours.

    `rasa test` takes it off the messages of its stories, and keeps the intent that we gave them.
    """
    payload = payload_in(message)
    if payload is not None:
        return payload if domain_of(payload) is not None else None
    runtime = current_runtime()
    if message.intent.get("name") != INTENT or runtime is None:
        return None
    engine = runtime.engine()
    session = session_before_message(tracker, engine)
    understood = engine.understand(session, text_of(message))
    return payload_of(understood, session) if understood.domain is not None else None


def _is_priority(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _PRIORITY


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
