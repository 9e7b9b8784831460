"""OnrampPolicy: makes the API call and says the reply on messages that are ours, else abstains."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from rasa.core.constants import POLICY_PRIORITY, RULE_POLICY_PRIORITY
from rasa.core.policies.policy import Policy, PolicyPrediction
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import AllSlotsReset, Event, SlotSet, UserUttered
from rasa.shared.core.generator import TrackerWithCachedStates
from rasa.shared.core.trackers import DialogueStateTracker

from rasa_onramp.components.domain_needs import (
    form_slots,
    problems_of_domain,
    rasa_action_for,
    rasa_value,
)
from rasa_onramp.components.events import (
    REPLY,
    applied,
    form_runs,
    last_message,
    payload_in,
    since_message,
    text_of,
    was_executed,
)
from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.payload import (
    INTENT,
    KEY,
    RESULTS,
    domain_of,
    payload_of,
    states_of,
)
from rasa_onramp.components.sessions import session_before_message
from rasa_onramp.components.settings import check_keys, refuse
from rasa_onramp.dialogue import State
from rasa_onramp.logs import logger_for
from rasa_onramp.provenance import code_digest

__all__ = ["OnrampPolicy"]

logger = logger_for(__name__)

#: Above memoised stories, below rules.
_PRIORITY = RULE_POLICY_PRIORITY - 1


@DefaultV1Recipe.register(
    DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT, is_trainable=True
)
class OnrampPolicy(Policy):
    """Predicts an API action, `utter_onramp` and `action_listen` on a message that
    OnrampStateTracker found to be ours; abstains on any other, and while a form is running.
    """

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The default configuration (see parent class)."""
        return {POLICY_PRIORITY: _PRIORITY, "fill_slots": True, "calibrated": False}

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
            "calibrated": boolean,
        }
        refuse(check_keys("OnrampPolicy", config, checks))
        return cls(config, model_storage, resource, execution_context)

    def train(
        self, training_trackers: List[TrackerWithCachedStates], domain: Domain, **kwargs: Any
    ) -> Resource:
        """Learns nothing. Raises InvalidConfigException if the domain lacks what we need."""
        refuse(problems_of_domain(domain))
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
        if was_executed(done, REPLY):
            action = ACTION_LISTEN_NAME
        else:
            call = payload.get("call")
            wanted = rasa_action_for(domain, call["name"]) if call else None
            if call and wanted is None:
                said = f"the domain declares no action for the API call {call['name']}"
                logger.error("onramp.call.undeclared", event_info=said, call=call["name"])
            calling = wanted is not None and not was_executed(done, wanted)
            action = wanted if calling and wanted is not None else REPLY
            events = self._events(tracker, domain, payload, calling, message, done)
        probabilities = self._default_predictions(domain)
        sure = float(payload["confidence"]) if self.config["calibrated"] else 1.0
        probabilities[domain.index_for_action(action)] = sure
        return self._prediction(
            probabilities,
            optional_events=events,
            action_metadata={KEY: {k: payload[k] for k in ("domain", "confidence", "reason")}},
        )

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
        # once a message: an action of the bot's may have reset what it set
        if not any(isinstance(e, SlotSet) and (e.key, e.value) == (KEY, payload) for e in done):
            events.append(SlotSet(KEY, payload))
            if self.config["fill_slots"]:
                mended = _set_by_bot(done, message)
                events += self._filled(tracker, domain, payload, mended)
        if calling and tracker.get_slot(RESULTS) is not None:
            events.append(SlotSet(RESULTS, None))  # the last call's
        return events

    @staticmethod
    def _filled(
        tracker: DialogueStateTracker,
        domain: Domain,
        payload: Mapping[str, Any],
        mended: Collection[str],
    ) -> List[Event]:
        """The bot's slots of the same names as ours, but for those that its forms ask for and those
        that its validation has `mended`: what changed since we last set them, and what they lack.
        So a value that the bot made of ours, or of its own, stays.
        """
        values = (payload.get("state") or {}).get("values", {})
        cleared = {slot: () for slot, texts in payload.get("changes", {}).items() if not texts}
        known = _known(applied(tracker), domain_of(payload))
        theirs = {*form_slots(domain), *mended, KEY, RESULTS}
        events: List[Event] = []
        refused: Optional[Set[str]] = None  # looked for at most once
        for name, texts in {**values, **cleared}.items():
            slot = tracker.slots.get(name)
            stays = texts and slot is not None and known.get(name) == tuple(texts)
            if slot is None or name in theirs:
                continue
            if stays and slot.value is not None:
                continue
            if stays:
                refused = _refused(applied(tracker)) if refused is None else refused
                if name in refused:
                    continue
            value = rasa_value(slot, tuple(texts))
            if value != slot.value:
                events.append(SlotSet(name, value))
        return events

    def _abstain(self, domain: Domain) -> PolicyPrediction:
        return self._prediction(self._default_predictions(domain))


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
        values = states_of(event.value).get(name, State()).values
        if name == domain:
            return {slot: texts for slot, texts in values.items() if slot not in others}
        others.update(values)
    return {}


def _set_by_bot(done: Sequence[Event], message: UserUttered) -> Set[str]:
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
