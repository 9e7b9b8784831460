"""Corpora to meta-train on, in either format, with their paraphrases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rasa_onramp.cli.training_corpora import tasks_in, training_tasks
from rasa_onramp.errors import ConfigError, FormatError

DOMAIN = """
onramp: "1.0"
domain:
  name: {name}
  slots: [{{name: {slot}, description: Colour of the paint}}]
  intents: [{{name: buy, optional_slots: {{{slot}: dontcare}}}}]
"""
DIALOGUES = """
dialogues:
  - id: d1
    turns: [{user: "[red](colour) paint", intent: buy}, {system: ok}]
  - id: d2
    split: held-out
    turns: [{user: "[blue](colour) paint", intent: buy}, {system: ok}]
"""


def folder(root: Path, **paraphrases: str) -> Path:
    """A folder with domains paint and glue, and a paraphrase of paint for each keyword."""
    for name in ("paint", "glue"):
        text = DOMAIN.format(name=name, slot="colour") + DIALOGUES.replace("paint", name)
        (root / f"{name}.yml").write_text(text, encoding="utf-8")
    for name, slot in paraphrases.items():
        (root / name).mkdir()
        text = DOMAIN.format(name="paint", slot=slot)
        (root / name / "paint.yml").write_text(text, encoding="utf-8")
    return root


def test_yaml_files_are_tasks_without_their_held_out_dialogues(tmp_path: Path) -> None:
    glue, paint = training_tasks(str(folder(tmp_path)))
    assert (glue.schema.name, paint.schema.name) == ("glue", "paint")
    assert [d.id for d in paint.alone] == ["d1"]
    assert paint.variants == glue.variants == ()


def test_a_conversation_of_several_domains_is_mixed_in_each(tmp_path: Path) -> None:
    """As MultiWOZ's are, exported with one file a domain."""
    for name in ("paint", "glue"):
        text = DOMAIN.format(name=name, slot="colour") + DIALOGUES
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    for task in training_tasks(str(tmp_path)):
        assert [d.id for d in task.mixed] == ["d1"] and task.alone == ()


def test_a_domain_in_several_files_is_one_task(tmp_path: Path) -> None:
    """As `export` writes a domain of many dialogues."""
    root = folder(tmp_path, paraphrase_1="shade")
    more = (root / "paint.yml").read_text(encoding="utf-8").replace("id: d", "id: e")
    (root / "paint_002.yml").write_text(more, encoding="utf-8")
    again = (root / "paraphrase_1" / "paint.yml").read_text(encoding="utf-8")
    (root / "paraphrase_1" / "paint_002.yml").write_text(again, encoding="utf-8")
    glue, paint = tasks_in([str(root)])
    assert (glue.schema.name, paint.schema.name) == ("glue", "paint")
    assert [d.id for d in paint.alone] == ["d1", "e1"]
    assert [names.slots["colour"] for _, names in paint.variants] == ["shade"]


def test_paraphrases_of_yaml_files_go_by_the_files_name(tmp_path: Path) -> None:
    root = folder(tmp_path, paraphrase_1="shade", paraphrase_2="hue", other="ignored")
    glue, paint = training_tasks(str(root))
    assert [names.slots["colour"] for _, names in paint.variants] == ["shade", "hue"]
    assert glue.variants == ()


def test_a_paraphrase_that_lacks_a_slot_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, paraphrase_1="shade")
    path = root / "paraphrase_1" / "paint.yml"
    text = path.read_text(encoding="utf-8").replace("slots: [", "slots: [{name: extra}, ")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="paint and its paraphrase paint"):
        training_tasks(str(root))


def test_an_sgd_folder_has_the_paraphrases_given_and_its_own(tmp_path: Path) -> None:
    def schema(slot: str) -> str:
        slots = [{"name": slot, "description": "", "is_categorical": False, "possible_values": []}]
        intent = {"name": "buy", "description": "", "required_slots": [slot]}
        intent.update(is_transactional=True, optional_slots={}, result_slots=[])
        service = {"service_name": "Paint_1", "description": "", "slots": slots}
        return json.dumps([{**service, "intents": [intent]}])

    state = {"active_intent": "buy", "requested_slots": [], "slot_values": {}}
    turn = {"speaker": "USER", "utterance": "paint"}
    turn["frames"] = [{"service": "Paint_1", "slots": [], "actions": [], "state": state}]
    for place, slot in ((".", "colour"), ("paraphrase_1", "shade"), ("../given", "hue")):
        path = tmp_path / "data" / place
        path.mkdir(parents=True, exist_ok=True)
        (path / "schema.json").write_text(schema(slot), encoding="utf-8")
    dialogue = {"dialogue_id": "1", "services": ["Paint_1"], "turns": [turn]}
    (tmp_path / "data" / "dialogues_001.json").write_text(json.dumps([dialogue]), encoding="utf-8")
    (task,) = training_tasks(str(tmp_path / "data"), [str(tmp_path / "given")])
    assert [names.slots["colour"] for _, names in task.variants] == ["hue", "shade"]


def test_a_corpus_without_dialogues_is_refused(tmp_path: Path) -> None:
    slots = [{"name": "to", "description": "", "is_categorical": False, "possible_values": []}]
    schema = {"service_name": "taxi", "description": "", "slots": slots, "intents": []}
    (tmp_path / "schema.json").write_text(json.dumps([schema]), encoding="utf-8")
    with pytest.raises(ConfigError, match="--data: no dialogues to train on in "):
        tasks_in([str(tmp_path)])


def test_what_cannot_be_trained_on_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="and no YAML file"):
        training_tasks(str(tmp_path))
    with pytest.raises(ConfigError, match="goes with a first corpus in SGD's format"):
        training_tasks(str(folder(tmp_path)), ["somewhere"])
    with pytest.raises(FormatError, match="absent"):
        training_tasks(str(tmp_path / "absent"))
