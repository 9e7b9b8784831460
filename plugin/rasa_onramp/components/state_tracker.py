"""OnrampStateTracker: the pipeline component that routes messages and tracks their state."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import (
    ENTITIES,
    ENTITY_ATTRIBUTE_TYPE,
    INTENT,
    INTENT_NAME_KEY,
    INTENT_RANKING_KEY,
    PREDICTED_CONFIDENCE_KEY,
    TEXT,
)
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from safetensors import SafetensorError  # type: ignore[attr-defined]
from torch import Tensor

from rasa_onramp import __version__
from rasa_onramp.actions.calls import readable
from rasa_onramp.components.bot_examples import (
    NOT_THE_BOTS,
    examples_in,
    index_of,
    load_examples,
    save_examples,
)
from rasa_onramp.components.domain_needs import form_slots
from rasa_onramp.components.events import form_runs
from rasa_onramp.components.host import OnrampRuntime, current_runtime, keep_current
from rasa_onramp.components.payload import UNAVAILABLE, abstention, payload_of
from rasa_onramp.components.policy import OnrampPolicy
from rasa_onramp.components.sessions import session_of
from rasa_onramp.components.settings import refuse
from rasa_onramp.components.turn_log import note_turn
from rasa_onramp.logs import logger_for
from rasa_onramp.provenance import STAMP, code_digest
from rasa_onramp.rasa_names import INTENT as OURS
from rasa_onramp.rasa_names import KEY
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.domain_index import DomainIndex
from rasa_onramp.runtime.router import BotView
from rasa_onramp.runtime.session import LONGEST
from rasa_onramp.runtime.settings import check_keys
from rasa_onramp.runtime.telemetry import Stopwatch
from rasa_onramp.runtime.understanding import Understanding

__all__ = ["OnrampStateTracker"]

logger = logger_for(__name__)


#: A command ("/restart"), if its name is that of an intent of the bot's: what Rasa unpacks.
_COMMAND = re.compile(r"/([^{@]+)")


class BotDomain(NamedTuple):
    """The names of the bot's intents and forms, and the entities that fill slots which aren't ours
    to fill.
    """

    intents: FrozenSet[str]
    forms: FrozenSet[str]
    entities: FrozenSet[str]


@DefaultV1Recipe.register(
    DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True, model_from="OnrampModel"
)
class OnrampStateTracker(GraphComponent, EntityExtractorMixin):
    """Decides whether a message belongs to one of our domains, and tracks the domain's state.

    Stands at the end of the pipeline: it takes the bot's own intent into account, and replaces it
    on messages that are ours. See docs/components/rasa.md.
    """

    def __init__(
        self,
        model_storage: ModelStorage,
        resource: Resource,
        examples: Optional[Tuple[Dict[str, List[str]], Tensor]] = None,
        domain: Optional[BotDomain] = None,
    ):
        self._model_storage = model_storage
        self._resource = resource
        self._examples = examples
        self._domain = domain
        self._index: Optional[Tuple[Engine, Optional[DomainIndex]]] = None

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
    ) -> OnrampStateTracker:
        """For training. Raises InvalidConfigException for settings that don't exist."""
        refuse(check_keys("OnrampStateTracker", config, {}))
        return cls(model_storage, resource)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> OnrampStateTracker:
        """For running, with what training left."""
        try:
            with model_storage.read_from(resource) as folder:
                examples = load_examples(folder)
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            said = f"the bot's own examples can't be read ({error}); run `rasa train`"
            logger.error("onramp.bot_examples.unreadable", event_info=said)
            examples = None
        domain = _domain(model_storage, _policy_settings(execution_context))
        component = cls(model_storage, resource, examples, domain)
        component._warm()
        return component

    def train(self, training_data: TrainingData, model: Optional[OnrampRuntime] = None) -> Resource:
        """Remember what the bot's own intents are trained on. Raises InvalidConfigException."""
        if model is None:
            raise InvalidConfigException(
                "OnrampStateTracker has no OnrampModel before it in the pipeline; add "
                "`- name: rasa_onramp.components.OnrampModel`"
            )
        with self._model_storage.write_to(self._resource) as folder:
            save_examples(folder, examples_in(training_data), model.engine())
            stamp = {"version": __version__, "code": code_digest()}
            (folder / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
        return self._resource

    def process(
        self,
        messages: List[Message],
        tracker: Optional[DialogueStateTracker] = None,
        model: Optional[OnrampRuntime] = None,
    ) -> List[Message]:
        """Put what was understood on each message, under the key `onramp`. Never raises."""
        sender = tracker.sender_id if tracker is not None else ""
        if model is not None:
            keep_current(model)
        for message in messages:
            watch = Stopwatch()
            try:
                self._process(message, tracker, model)
            except Exception as error:
                message.set(KEY, abstention(UNAVAILABLE), add_to_output=True)
                if model is not None:
                    model.abstain("a message", error)
            note_turn(sender, message.get(KEY), watch.lap("understanding"))
        return messages

    def _process(
        self,
        message: Message,
        tracker: Optional[DialogueStateTracker],
        model: Optional[OnrampRuntime],
    ) -> None:
        text = readable((message.get(TEXT) or "")[:LONGEST])
        if model is None or not text.strip() or self._commands(text):
            message.set(KEY, abstention("command"), add_to_output=True)
            return
        if tracker is None:
            tracker = DialogueStateTracker.from_events("", [])
        if form_runs(tracker, self._domain and self._domain.forms):
            message.set(KEY, abstention("form"), add_to_output=True)
            return
        engine = model.engine()
        session = session_of(tracker, engine)
        intent = message.get(INTENT) or {}
        fallback = intent.get(INTENT_NAME_KEY) in NOT_THE_BOTS
        sure = 0.0 if fallback else float(intent.get(PREDICTED_CONFIDENCE_KEY) or 0.0)
        view = BotView(self._bot_index(engine), sure)
        understood = engine.understand(session, text, bot=view)
        entities = message.get(ENTITIES) or []
        bot = {"intent": dict(intent), "entities": _plain(entities)}
        message.set(KEY, payload_of(understood, session, bot), add_to_output=True)
        if understood.domain is not None:
            self._claim(message, understood, text)

    def _claim(self, message: Message, understood: Understanding, text: str) -> None:
        """Make the message ours: the bot's rules and forms would act on its intent and entities."""
        intent = {
            INTENT_NAME_KEY: OURS,
            PREDICTED_CONFIDENCE_KEY: round(understood.route.score, 4),
        }
        ranking = message.get(INTENT_RANKING_KEY) or []
        message.set(INTENT, intent, add_to_output=True)
        message.set(INTENT_RANKING_KEY, [intent, *ranking], add_to_output=True)
        entities = [
            {
                ENTITY_ATTRIBUTE_TYPE: span.slot,
                "start": span.start,
                "end": span.end,
                "value": text[span.start : span.end],
                "confidence_entity": round(understood.slot_confidence.get(span.slot, 0.0), 4),
            }
            for span in understood.spans
            if self._domain is None or span.slot not in self._domain.entities
        ]
        message.set(ENTITIES, self.add_extractor_name(entities), add_to_output=True)

    def _commands(self, text: str) -> bool:
        """Whether Rasa takes the text for a command. With an intent that the bot doesn't have
        ("/var/log is full") it goes on with the text.
        """
        command = _COMMAND.match(text.strip())
        if command is None or self._domain is None:
            return command is not None
        return command[1].strip() in self._domain.intents

    def _warm(self) -> None:
        """Index the bot's examples now rather than at the first message, if the engine is open."""
        runtime = current_runtime()  # OnrampModel, which is loaded before us, has made it
        if runtime is None or runtime.opened is None:
            return
        try:
            self._bot_index(runtime.opened)
        except Exception as error:  # whatever it is, the bot has its own model to load
            runtime.abstain("messages for now", error)

    def _bot_index(self, engine: Engine) -> Optional[DomainIndex]:
        if self._examples is None:
            return None
        if self._index is None or self._index[0] is not engine:
            self._index = (engine, index_of(*self._examples, engine))
        return self._index[1]


def _plain(entities: List[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """Entities of other extractors without what isn't JSON (numpy's numbers)."""
    kept = (str, int, float, bool, type(None))
    return [
        {k: v if isinstance(v, kept) else str(v) for k, v in entity.items()} for entity in entities
    ]


def _policy_settings(context: ExecutionContext) -> Mapping[str, Any]:
    """What config.yml sets of OnrampPolicy: the trained model's graph holds it."""
    nodes = context.graph_schema.nodes.values()
    return next((node.config for node in nodes if node.uses is OnrampPolicy), {})


def _domain(model_storage: ModelStorage, policy: Mapping[str, Any]) -> Optional[BotDomain]:
    """Of the bot that the trained model is of: its intents, its forms, and what these, or the
    settings of the `policy`, keep of its slots: Rasa fills slots from entities by itself.

    The model holds the domain, but hands it to no component of the pipeline. One without dialogue
    part has none: None.
    """
    try:
        with model_storage.read_from(Resource("domain_provider")) as folder:
            domain = Domain.from_path(folder)
    except Exception:
        return None
    kept = {*form_slots(domain), *policy.get("keep_slots", ())}
    entities = frozenset(
        mapping["entity"]
        for slot in domain.slots
        if slot.name in kept or not policy.get("fill_slots", True)
        for mapping in slot.mappings
        if mapping.get("entity")
    )
    return BotDomain(frozenset(domain.intents), frozenset(domain.form_names), entities)
