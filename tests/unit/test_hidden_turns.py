"""What the bot's own stories see of our turns, by Rasa's own policies, trained for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

pytest.importorskip("rasa")

from rasa.core.actions.action import ActionBotResponse
from rasa.core.policies.ensemble import DefaultPolicyPredictionEnsemble
from rasa.core.policies.memoization import AugmentedMemoizationPolicy, MemoizationPolicy
from rasa.core.policies.policy import Policy
from rasa.core.policies.rule_policy import RulePolicy
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.graph_components.providers.rule_only_provider import RuleOnlyDataProvider
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, UserUttered
from rasa.shared.core.generator import TrainingDataGenerator
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.core.training_data.loading import load_data_from_files
from rasa.shared.core.training_data.structures import StoryGraph

from rasa_onramp.components import OnrampPolicy
from rasa_onramp.rasa_names import KEY

pytestmark = pytest.mark.filterwarnings(
    "ignore:Slot auto-fill has been removed", "ignore::DeprecationWarning"
)  # Rasa's own

DOMAIN = """
version: "3.1"
intents: [onramp, complain, affirm, greet, ask]
actions: [action_onramp_call, action_log]
responses:
  utter_onramp: [{text: .}]
  utter_offer: [{text: .}]
  utter_callback: [{text: .}]
  utter_greet: [{text: .}]
  utter_answer: [{text: .}]
slots:
  onramp: {type: any, mappings: [{type: custom}]}
  onramp_results: {type: any, mappings: [{type: custom}]}
"""
STORIES = """
version: "3.1"
stories:
- story: A complaint
  steps:
  - intent: complain
  - action: utter_offer
  - intent: affirm
  - action: utter_callback
- story: Another topic
  steps:
  - intent: ask
  - action: utter_answer
rules:
- rule: Greet
  steps:
  - intent: greet
  - action: utter_greet
"""
OURS = """
- story: After what we say
  steps:
  - intent: onramp
  - action: utter_onramp
  - action: action_log
  - intent: affirm
  - action: utter_answer
"""


class TrainedBot:
    """A bot's policies, trained on `stories`, saved and loaded again."""

    def __init__(self, folder: Path, memory: type, stories: str = STORIES, **settings: Any):
        self.domain = Domain.from_yaml(DOMAIN)
        (folder / "stories.yml").write_text(stories, encoding="utf-8")
        steps = load_data_from_files([str(folder / "stories.yml")], self.domain)
        trackers = TrainingDataGenerator(StoryGraph(steps), self.domain).generate()
        (folder / "model").mkdir()
        storage = LocalModelStorage.create(folder / "model")
        context = ExecutionContext(GraphSchema({}))
        self._policies: List[Policy] = []
        for kind in (memory, RulePolicy, OnrampPolicy):
            resource = Resource(kind.__name__)
            config = kind.get_default_config()
            config.update({key: settings[key] for key in settings.keys() & config.keys()})
            given = (config, storage, resource, context)
            kind.create(*given).train(trackers, self.domain)
            self._policies.append(kind.load(*given))
        rules = Resource(RulePolicy.__name__)
        self._rule_only = RuleOnlyDataProvider.create({}, storage, rules, context).provide()

    def says(self, tracker: DialogueStateTracker, intent: str, call: Optional[str] = None) -> List:
        """What it does on a message: action and policy, up to where it listens."""
        parsed: Dict[str, Any] = {"intent": {"name": intent, "confidence": 1.0}}
        if intent == "onramp":
            payload = {"domain": "trips", "confidence": 0.9, "reason": "match"}
            parsed[KEY] = {**payload, "state": {"values": {}}, "call": call and {"name": call}}
        tracker.update(UserUttered("hello", parsed["intent"], parse_data=parsed))
        done: List[Tuple[str, str]] = []
        while not done or done[-1][0] != "action_listen":
            assert len(done) < 9, done
            done.append(self._step(tracker))
        return done

    def _step(self, tracker: DialogueStateTracker) -> Tuple[str, str]:
        """One action, recorded as Rasa records it, and the policy that predicted it."""
        predictions = [
            policy.predict_action_probabilities(tracker, self.domain, self._rule_only)
            for policy in self._policies
        ]
        ensemble = DefaultPolicyPredictionEnsemble()
        best = ensemble.combine_predictions(predictions, tracker, self.domain)
        name = self.domain.action_names_or_texts[best.max_confidence_index]
        for event in best.events:
            tracker.update(event)
        tracker.update(ActionBotResponse(name).event_for_successful_execution(best))
        assert best.policy_name is not None
        return name, best.policy_name


def conversation(bot: TrainedBot) -> DialogueStateTracker:
    tracker = DialogueStateTracker("ann", bot.domain.slots)
    tracker.update(ActionExecuted("action_listen"))
    return tracker


@pytest.mark.parametrize("memory", [MemoizationPolicy, AugmentedMemoizationPolicy])
def test_stories_work_after_our_turns_and_around_them(tmp_path: Path, memory: type) -> None:
    bot = TrainedBot(tmp_path, memory)
    plain, ours = conversation(bot), conversation(bot)
    told = bot.says(ours, "onramp", call="book")
    assert [name for name, _ in told] == ["action_onramp_call", "utter_onramp", "action_listen"]
    bot.says(ours, "onramp")
    own = ("complain", "affirm", "greet")
    replayed = []
    for intent in own:
        bot.says(ours, "onramp")  # in a story's middle, too
        replayed.append(bot.says(ours, intent))
    assert replayed == [bot.says(plain, intent) for intent in own]
    assert ("utter_callback", memory.__name__) in replayed[1]
    # nothing of ours is in what TED reads, either
    assert states(ours, bot) == states(plain, bot)
    # and what was kept in a tracker store is hidden still
    written = [event.as_dict() for event in ours.events]
    kept = DialogueStateTracker.from_dict("ann", written, bot.domain.slots)
    assert states(kept, bot) == states(plain, bot)


def test_no_story_takes_over_within_a_turn_of_ours(tmp_path: Path) -> None:
    """With a memory that short they all begin after the last message of the bot's own."""
    bot = TrainedBot(tmp_path, MemoizationPolicy, max_history=1, calibrated=True)
    tracker = conversation(bot)
    bot.says(tracker, "complain")
    told = bot.says(tracker, "onramp", call="book")
    assert [name for name, _ in told] == ["action_onramp_call", "utter_onramp", "action_listen"]


def test_stories_that_name_our_intent_see_our_turns(tmp_path: Path) -> None:
    bot = TrainedBot(tmp_path, MemoizationPolicy, STORIES.replace("rules:", f"{OURS}rules:"))
    tracker = conversation(bot)
    first = [{}, {"user": {"intent": "onramp"}, "prev_action": {"action_name": "action_listen"}}]
    names = [name for name, _ in bot.says(tracker, "onramp")]
    assert names == ["utter_onramp", "action_log", "action_listen"]
    assert ("utter_answer", "MemoizationPolicy") in bot.says(tracker, "affirm")
    bot.says(tracker, "onramp")
    assert states(tracker, bot)[:2] == first
    assert not any(e.hide_rule_turn for e in tracker.events if isinstance(e, ActionExecuted))


def states(tracker: DialogueStateTracker, bot: TrainedBot) -> List[Any]:
    """The conversation as policies that learn from stories read it: Policy._prediction_states."""
    featurizer = bot._policies[0].featurizer
    (found,) = featurizer.prediction_states(
        [tracker], bot.domain, ignore_rule_only_turns=True, rule_only_data=bot._rule_only
    )
    return found
