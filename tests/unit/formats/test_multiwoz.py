"""MultiWOZ 2.2's folders: what they mean where they differ from SGD's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rasa_onramp.dialogue import DONTCARE, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats import read
from rasa_onramp.formats.yaml import parse_yaml, yaml_file

SCHEMA: List[Dict[str, Any]] = [
    {
        "service_name": "museum",
        "description": "museums in a town",
        "slots": [
            {
                "name": "museum-area",
                "description": "part of the town",
                "is_categorical": True,
                "possible_values": ["harbour", "old town", "dontcare"],
            },
            {
                "name": "museum-name",
                "description": "name of the museum",
                "is_categorical": False,
                "possible_values": [],
            },
        ],
        "intents": [
            {
                "name": "find_museum",
                "description": "look for a museum",
                "is_transactional": False,
                "required_slots": [],
                "optional_slots": {"museum-area": "dontcare", "museum-name": "dontcare"},
            }
        ],
    },
    {
        "service_name": "tram",
        "description": "rides by tram",
        "slots": [{"name": "tram-stop", "description": "where to", "is_categorical": False}],
        "intents": [
            {
                "name": "find_tram",
                "description": "look for a tram",
                "is_transactional": False,
                "required_slots": ["tram-stop"],
                "optional_slots": {},
            }
        ],
    },
]


def frame(service: str, intent: str = "NONE", asks: Any = (), spans: Any = (), **values: Any):
    """A user's frame; the names of slots are written with _ here."""
    slots = {f"{service}-{name}": texts for name, texts in values.items()}
    return {
        "actions": [],
        "service": service,
        "slots": list(spans),
        "state": {"active_intent": intent, "requested_slots": list(asks), "slot_values": slots},
    }


def dialogue(name: str, services: List[str], *turns: Any) -> Dict[str, Any]:
    return {
        "dialogue_id": name,
        "services": services,
        "turns": [
            {
                "speaker": "SYSTEM" if number % 2 else "USER",
                "turn_id": str(number),
                "utterance": text,
                "frames": frames,
            }
            for number, (text, frames) in enumerate(turns)
        ],
    }


BOTH = dialogue(
    "D2.json",
    ["museum", "tram"],
    (
        "A museum in the Old Town, any will do",
        [
            frame(
                "museum",
                "find_museum",
                area=["Old Town", "old town", "centre"],
                name=["dontcare"],
                spans=[{"slot": "museum-area", "start": 16, "exclusive_end": 24, "value": "x"}],
            ),
            frame(
                "tram",
                spans=[{"slot": "tram-stop", "start": 16, "exclusive_end": 24, "value": "x"}],
            ),
        ],
    ),
    (
        "The Clock Museum is there.",
        [
            {
                "actions": [],
                "service": "museum",
                "slots": [{"slot": "museum-name", "start": 4, "exclusive_end": 16, "value": "x"}],
            }
        ],
    ),
    (
        "And a tram there",
        [
            frame("museum", area=["old town"], name=["dontcare"]),
            frame(
                "tram",
                "find_tram",
                stop=["clock museum", "the clock museum"],
                spans=[{"slot": "tram-stop", "copy_from": "museum-name", "value": ["x"]}],
            ),
        ],
    ),
    ("Line 4.", []),
)
SINGLE = dialogue(
    "D1.json",
    ["tram"],
    (
        "When does it run?",
        [frame("museum"), frame("tram", "find_tram", asks=["tram-time", "tram-stop"])],
    ),
    ("At nine.", []),
    ("Thanks", [frame("museum", area=["nowhere"]), frame("tram")]),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As in MultiWOZ's repository: the schema stands beside the folders."""
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (tmp_path / "dialog_acts.json").write_text("{}", encoding="utf-8")
    dev = tmp_path / "dev"
    dev.mkdir()
    content = [SINGLE, BOTH, dialogue("D3.json", [], ("Hi", [frame("museum"), frame("tram")]))]
    (dev / "dialogues_001.json").write_text(json.dumps(content), encoding="utf-8")
    return dev


def test_what_it_means(folder: Path) -> None:
    corpus = read(folder, "multiwoz")
    assert corpus.schemas["museum"] == Schema(
        "museum",
        "museums in a town",
        (
            Slot("museum-area", "part of the town", ("harbour", "old town")),
            Slot("museum-name", "name of the museum"),
        ),
        (
            Intent(
                "find_museum",
                "look for a museum",
                (),
                {"museum-area": DONTCARE, "museum-name": DONTCARE},
            ),
        ),
    )
    single, museum, tram = corpus.dialogues
    assert [(d.id, d.domain) for d in corpus.dialogues] == [
        ("D1.json", "tram"),
        ("D2.json", "museum"),
        ("D2.json", "tram"),
    ]
    assert single.turns[0].state == State({}, "find_tram", ("tram-stop",))
    assert single.turns[2].state == State()  # the only service: said to it, if to anything
    state = State({"museum-area": ("old town",), "museum-name": (DONTCARE,)}, "find_museum")
    assert museum.turns == (
        Turn(
            "user",
            "A museum in the Old Town, any will do",
            state,
            spans=(Span("museum-area", 16, 24),),
        ),
        Turn("system", "The Clock Museum is there.", spans=(Span("museum-name", 4, 16),)),
        Turn("user", "And a tram there"),
        Turn("system", "Line 4."),
    )
    assert tram.turns[0] == Turn("user", "A museum in the Old Town, any will do")
    written = yaml_file(corpus.schemas["tram"], [tram]).decode("utf-8")
    assert parse_yaml(written, "tram.yml").dialogues == (tram,)
    assert tram.turns[2] == Turn(
        "user",
        "And a tram there",
        State({"tram-stop": ("clock museum", "the clock museum")}, "find_tram"),
    )


def test_services_can_be_chosen_and_the_schema_may_be_inside(folder: Path) -> None:
    (folder.parent / "schema.json").rename(folder / "schema.json")
    corpus = read(folder, "multiwoz", services=["tram"])
    assert list(corpus.schemas) == ["tram"]
    assert [d.domain for d in corpus.dialogues] == ["tram", "tram"]


def test_a_value_that_none_lists_is_left_out(folder: Path) -> None:
    path = folder / "dialogues_001.json"
    state = frame("museum", "find_museum", area=["the moon"], name=["m"])
    content = [dialogue("D", ["museum"], ("hi", [state]))]
    path.write_text(json.dumps(content), encoding="utf-8")
    (found,) = read(folder, "multiwoz").dialogues
    assert found.turns[0].state == State({"museum-name": ("m",)}, "find_museum")


def test_wrong_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="name the folder that holds them: train, dev or test"):
        read(tmp_path, "multiwoz")
    with pytest.raises(FormatError, match="no service called 'bus'"):
        read(folder, "multiwoz", services=["bus"])
    path = folder / "dialogues_001.json"
    for bad, saying in (
        ({**SINGLE, "services": ["bus"]}, "schema.json has no service 'bus'"),
        (dialogue("D", ["tram"], ("hi", [frame("tram", "ride")])), "no intent 'ride'"),
        (dialogue("D", ["tram"], ("hi", [frame("tram", stop=[3])])), "'3' is no value"),
        (dialogue("D", ["museum"], ("hi", [frame("museum", area=[3])])), "'3' is no value"),
        (dialogue("D", ["museum"], ("hi", [frame("museum", colour=["x"])])), "no slot"),
    ):
        path.write_text(json.dumps([bad], indent=1), encoding="utf-8")
        with pytest.raises(FormatError, match=saying) as caught:
            read(folder, "multiwoz")
        assert caught.value.path == path
        assert caught.value.line is not None
        assert caught.value.line > 1
