"""Entities of ours that Rasa would fill the bot's own slots from, in a model as Rasa leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, FrozenSet

import pytest

pytest.importorskip("rasa")

from rasa.engine.graph import ExecutionContext, GraphSchema, SchemaNode
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.nlu.classifiers.regex_message_handler import RegexMessageHandler
from rasa.shared.core.domain import Domain
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import ENTITIES
from rasa.shared.nlu.training_data.message import Message

from rasa_onramp.components import OnrampPolicy, OnrampStateTracker
from rasa_onramp.dialogue import Span, State
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.understanding import Understanding

pytestmark = pytest.mark.filterwarnings(
    "ignore:Slot auto-fill has been removed",
    "ignore:Failed to parse arguments in line",
    "ignore::DeprecationWarning",
)  # Rasa's own

DOMAIN = """
version: "3.1"
intents: [onramp]
entities: [city, people, size]
actions: [action_onramp_call]
responses:
  utter_onramp: [{text: .}]
slots:
  onramp: {type: any, mappings: [{type: custom}]}
  onramp_results: {type: any, mappings: [{type: custom}]}
  city: {type: text, mappings: [{type: from_entity, entity: city}]}
  guests: {type: any, mappings: [{type: custom}, {type: from_entity, entity: people}]}
  size: {type: text, mappings: [{type: from_entity, entity: size}]}
forms:
  order: {required_slots: [size]}
"""


def loaded(folder: Path, **settings: Any) -> OnrampStateTracker:
    """The component of a bot whose OnrampPolicy has `settings`."""
    folder.mkdir()
    storage = LocalModelStorage.create(folder)
    with storage.write_to(Resource("domain_provider")) as place:
        Domain.from_yaml(DOMAIN).persist(place / "domain.yml")
    node = SchemaNode({}, OnrampPolicy, "load", "predict_action_probabilities", settings)
    context = ExecutionContext(GraphSchema({"run_policy": node}))
    return OnrampStateTracker.load({}, storage, Resource("state_tracker"), context)


def claimed(folder: Path, **settings: Any) -> FrozenSet[str]:
    """The entities that a message of ours has in that bot."""
    spans = tuple(Span(slot, 0, 1) for slot in ("city", "people", "size", "day"))
    message = Message.build("x y")
    understood = Understanding(Route("trips", 1.0), State(), spans=spans)
    loaded(folder, **settings)._claim(message, understood, "x y")
    return frozenset(entity["entity"] for entity in message.get(ENTITIES))


def test_slots_of_forms_and_kept_ones_are_not_filled_from_our_entities(tmp_path: Path) -> None:
    assert claimed(tmp_path / "default") == {"city", "people", "day"}
    assert claimed(tmp_path / "kept", keep_slots=["guests"]) == {"city", "day"}
    assert claimed(tmp_path / "none", fill_slots=False) == {"day"}


def test_only_a_command_that_rasa_takes_for_one_is_nobodys_to_hear(tmp_path: Path) -> None:
    """As Rasa's own handler does, which comes after us."""
    component, domain = loaded(tmp_path / "bot"), Domain.from_yaml(DOMAIN)
    texts = ("/restart", "/onramp@0.5", " /onramp {}", "/", "/var/log is full", "hi /restart")
    for text in texts:
        message = Message.build(text)
        (parsed,) = RegexMessageHandler().process([message], domain)
        assert component._commands(text) == (parsed is not message), text


def test_a_setting_that_names_no_slots() -> None:
    def create(**settings: Any) -> OnrampPolicy:
        config: Dict[str, Any] = {**OnrampPolicy.get_default_config(), **settings}
        context = ExecutionContext(GraphSchema({}))
        return OnrampPolicy.create(config, None, Resource("policy"), context)  # type: ignore[arg-type]

    for wrong in ("city", [1], None):
        with pytest.raises(InvalidConfigException, match="make it a list of names of slots"):
            create(keep_slots=wrong)
    domain = Domain.from_yaml(DOMAIN)
    with pytest.raises(InvalidConfigException) as refused:
        create(keep_slots=["city", "town", "area"]).train([], domain)
    named, mend = "'town', 'area', no slots of the domain's", "name slots that it has"
    assert str(refused.value) == f"OnrampPolicy: keep_slots has {named}; {mend}"
