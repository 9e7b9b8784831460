"""SGD folders: what they mean, what is said about wrong ones, and predictions for the scorer."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from rasa_onramp.cli.predictions import write_predictions
from rasa_onramp.dialogue import DONTCARE, Action, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.errors import ConfigError, FormatError
from rasa_onramp.evaluation.few_shot import Result
from rasa_onramp.formats import read
from rasa_onramp.formats.sgd import read_sgd
from rasa_onramp.formats.sgd_corpus import write_sgd
from rasa_onramp.formats.sgd_schema import read_sgd_schemas
from rasa_onramp.formats.sgd_write import Written, write_sgd_predictions
from rasa_onramp.formats.yaml import read_yaml, write_yaml

SCHEMA: List[Dict[str, Any]] = [
    {
        "service_name": "Taxi_1",
        "description": "Book taxis",
        "slots": [
            {
                "name": "place",
                "description": "Where to",
                "is_categorical": False,
                "possible_values": ["an example"],
            },
            {
                "name": "size",
                "description": "How big",
                "is_categorical": True,
                "possible_values": ["small", "large", "dontcare"],
            },
        ],
        "intents": [
            {
                "name": "Book",
                "description": "Book one",
                "is_transactional": True,
                "required_slots": ["place"],
                "optional_slots": {"size": "dontcare"},
                "result_slots": ["place", "size"],
            }
        ],
    },
    {
        "service_name": "Weather_1",
        "description": "Forecasts",
        "slots": [{"name": "city", "description": "", "is_categorical": False}],
        "intents": [{"name": "Ask", "description": "", "required_slots": ["city"]}],
    },
]


def user_frame(service: str, **state: Any) -> Dict[str, Any]:
    empty = {"active_intent": "NONE", "requested_slots": [], "slot_values": {}}
    return {"actions": [], "service": service, "slots": [], "state": {**empty, **state}}


DIALOGUES: List[Dict[str, Any]] = [
    {
        "dialogue_id": "1_00000",
        "services": ["Taxi_1", "Weather_1"],
        "turns": [
            {
                "speaker": "USER",
                "utterance": "A taxi to Leeds, any size.",
                "frames": [
                    {
                        **user_frame(
                            "Taxi_1",
                            active_intent="Book",
                            slot_values={"place": ["Leeds", "leeds"], "size": ["dontcare"]},
                        ),
                        "slots": [{"slot": "place", "start": 10, "exclusive_end": 15}],
                    }
                ],
            },
            {
                "speaker": "SYSTEM",
                "utterance": "A small one comes.",
                "frames": [
                    {
                        "actions": [],
                        "service": "Taxi_1",
                        "slots": [{"slot": "size", "start": 2, "exclusive_end": 7}],
                        "service_call": {"method": "Book", "parameters": {"place": "Leeds"}},
                        "service_results": [{"place": "Leeds", "size": "small"}],
                    }
                ],
            },
            {
                "speaker": "USER",
                "utterance": "Is it raining there?",
                "frames": [
                    user_frame(
                        "Weather_1",
                        active_intent="Ask",
                        requested_slots=["city"],
                        slot_values={"city": ["Leeds"]},
                    )
                ],
            },
        ],
    },
    {
        "dialogue_id": "1_00001",
        "services": ["Weather_1"],
        "turns": [
            {"speaker": "USER", "utterance": "Hi", "frames": [user_frame("Weather_1")]},
            {"speaker": "SYSTEM", "utterance": "Hello", "frames": []},
        ],
    },
]


def write(folder: Path, schema: Any = SCHEMA, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "schema.json").write_text(json.dumps(schema, indent=1), encoding="utf-8")
    for name, content in files.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "sgd", dialogues_001=DIALOGUES[:1], dialogues_002=DIALOGUES[1:])


def test_schemas(folder: Path) -> None:
    assert read_sgd(folder).schemas["Taxi_1"] == Schema(
        name="Taxi_1",
        description="Book taxis",
        slots=(Slot("place", "Where to"), Slot("size", "How big", ("small", "large"))),
        intents=(Intent("Book", "Book one", ("place",), {"size": DONTCARE}),),
        actions=(Action("Book", "Book one", ("place",), ("place", "size")),),
    )


def test_a_state_holds_what_an_intent_names(tmp_path: Path) -> None:
    """A tracker answers for nothing else, so every turn would count as wrong."""
    schema = copy.deepcopy(SCHEMA)
    schema[0]["intents"][0]["optional_slots"] = {}
    with pytest.raises(FormatError, match="'size' is in no intent, so no state can hold it; name"):
        read_sgd(write(tmp_path, schema, dialogues_001=DIALOGUES))


def test_a_dialogue_is_seen_from_each_of_its_services(folder: Path) -> None:
    taxi, weather, other = read_sgd(folder).dialogues
    assert [(each.id, each.domain) for each in (taxi, weather, other)] == [
        ("1_00000", "Taxi_1"),
        ("1_00000", "Weather_1"),
        ("1_00001", "Weather_1"),
    ]
    assert taxi.split is None
    assert taxi.turns == (
        Turn(
            "user",
            "A taxi to Leeds, any size.",
            State({"place": ("Leeds", "leeds"), "size": (DONTCARE,)}, "Book"),
            spans=(Span("place", 10, 15),),
        ),
        Turn(
            "system",
            "A small one comes.",
            action="Book",
            parameters={"place": "Leeds"},
            results=({"place": "Leeds", "size": "small"},),
            spans=(Span("size", 2, 7),),
        ),
        Turn("user", "Is it raining there?"),
    )
    assert weather.turns == (
        Turn("user", "A taxi to Leeds, any size."),
        Turn("system", "A small one comes."),
        Turn("user", "Is it raining there?", State({"city": ("Leeds",)}, "Ask", ("city",))),
    )
    assert other.turns == (Turn("user", "Hi", State()), Turn("system", "Hello"))


def test_services_are_kept_to(folder: Path) -> None:
    corpus = read(folder, services=["Taxi_1"])
    assert set(corpus.schemas) == {"Taxi_1"}
    assert [each.domain for each in corpus.dialogues] == ["Taxi_1"]
    with pytest.raises(FormatError, match="no service called 'Taxi_2'; did you mean 'Taxi_1'"):
        read_sgd(folder, services=["Taxi_2"])


def test_gzipped_files_are_the_same(folder: Path) -> None:
    expected = read_sgd(folder)
    for path in list(folder.glob("*.json")):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert read_sgd(folder) == expected


def test_a_schema_alone_is_a_corpus_without_dialogues(tmp_path: Path) -> None:
    corpus = read_sgd(write(tmp_path / "sgd"))
    assert set(corpus.schemas) == {"Taxi_1", "Weather_1"}
    assert corpus.dialogues == ()


def at(keys: str) -> Callable[[Any, Any], None]:
    """Sets (or, given KeyError, deletes) what `keys` lead to."""
    *path, last = [int(key) if key.isdigit() else key for key in keys.split(".")]

    def change(content: Any, value: Any) -> None:
        for key in path:
            content = content[key]
        if value is KeyError:
            del content[last]
        else:
            content[last] = value

    return change


TURN = "0.turns.0"
STATE = f"{TURN}.frames.0.state"
CALL = "0.turns.1.frames.0"
USER_TURN = {"speaker": "USER", "utterance": "Hi", "frames": []}

# What is changed in DIALOGUES -> to what, the text on the line named, and what is said.
WRONG_DIALOGUES = [
    (f"{STATE}.slot_values", {"plase": ["x"]}, '"plase"', "no slot 'plase'; did you mean 'place'?"),
    (f"{STATE}.slot_values", {"size": ["samll"]}, '"samll"', "'samll' is not among the values"),
    (f"{STATE}.slot_values", {"size": []}, '"size"', "slot 'size' has no values"),
    (f"{STATE}.slot_values", {"size": "small"}, '"size"', "slot 'size' has no values"),
    (f"{STATE}.slot_values", {"place": [" "]}, '" "', "' ' is no value for 'place'"),
    (f"{STATE}.slot_values", {"place": [7]}, "7", "'7' is no value for 'place'"),
    (f"{STATE}.slot_values", ["place"], '"slot_values"', "'slot_values' must be an object"),
    (f"{STATE}.active_intent", "Bok", '"Bok"', "no intent 'Bok'; did you mean 'Book'?"),
    (f"{STATE}.active_intent", KeyError, '"state"', "no 'active_intent' here"),
    (f"{STATE}.requested_slots", ["colour"], '"colour"', "Taxi_1 has no slot 'colour'"),
    (f"{CALL}.service_call.method", "Boook", '"Boook"', "no intent 'Boook'"),
    (f"{CALL}.service_call.parameters", {"sise": "x"}, '"sise"', "no slot 'sise'"),
    (f"{CALL}.service_call", KeyError, '"service_results"', "without a 'service_call'; name the"),
    (f"{CALL}.service_results.0.size", 3, '"size": 3', "'3' is no value for 'size'"),
    (f"{CALL}.service_results.0", "none", '"none"', "a result must be an object"),
    (f"{CALL}.slots.0.exclusive_end", 99, "{", "the span 2-99 of 'size' is outside the utterance"),
    (f"{CALL}.slots.0.start", True, '"start"', "'start' must be a whole number"),
    (f"{CALL}.slots.0.slot", "sizes", '"sizes"', "no slot 'sizes'; did you mean 'size'?"),
    (f"{TURN}.frames.0.service", "Taxi_2", '"Taxi_2"', "schema.json has no service 'Taxi_2'"),
    (f"{TURN}.frames.0.service", KeyError, "{", "no 'service' here"),
    (f"{TURN}.utterance", " ", '" "', "a turn without text"),
    (f"{TURN}.utterance", "a\0b", "a\\u0000b", "stands for no character"),
    (f"{TURN}.speaker", "BOT", '"BOT"', "unknown speaker 'BOT'; write USER or SYSTEM"),
    (f"{TURN}.speaker", "SYSTEM", "{", "the first turn is the system's"),
    ("0.turns.1", USER_TURN, "{", "two USER turns in a row"),
    ("0.turns", [], '"turns"', "dialogue '1_00000' has no turns"),
    ("0.services", ["Taxi_1"], '"Weather_1"', "which the dialogue doesn't list"),
    ("0.services.0", "Taxis_1", '"Taxis_1"', "did you mean 'Taxi_1'?"),
    ("0.services.0", "Weather_1", '"Weather_1"', "service 'Weather_1' is listed twice"),
    ("1.dialogue_id", "1_00000", '"1_00000"', "a second dialogue has the id '1_00000'"),
    ("1.dialogue_id", "", '"dialogue_id"', "a dialogue's id is empty"),
    ("0", "dialogue", '"dialogue"', "a dialogue must be an object"),
]


@pytest.mark.parametrize(("keys", "value", "on_line", "said"), WRONG_DIALOGUES)
def test_wrong_dialogues(tmp_path: Path, keys: str, value: Any, on_line: str, said: str) -> None:
    content = copy.deepcopy(DIALOGUES)
    at(keys)(content, value)
    folder = write(tmp_path / "sgd", dialogues_001=content)
    expect(folder, folder / "dialogues_001.json", on_line, said)


# The same of SCHEMA.
WRONG_SCHEMAS = [
    ("0.slots", [], '"slots"', "service 'Taxi_1' has no slots"),
    ("0.slots", KeyError, "{", "no 'slots' here"),
    ("0.slots.1.name", "place", "{", "a second slot 'place'"),
    ("0.slots.1.possible_values", [], "{", "slot 'size' is categorical without values"),
    ("0.slots.1.possible_values", ["a", "a"], '"a"', "a second value 'a'"),
    ("0.slots.1.is_categorical", "yes", '"is_categorical"', "must be true or false"),
    ("0.slots.0.name", "", '"name": ""', "'name' is empty"),
    ("0.intents.0.required_slots", ["plce"], '"plce"', "did you mean 'place'?"),
    ("0.intents.0.optional_slots", {"sz": "x"}, '"sz"', "unknown slot 'sz'"),
    ("0.intents.0.result_slots", [4], "4", "unknown slot '4'"),
    ("1.service_name", "Taxi_1", '"Taxi_1"', "a second service is called 'Taxi_1'"),
    ("1", 1, "1", "a service must be an object"),
]


@pytest.mark.parametrize(("keys", "value", "on_line", "said"), WRONG_SCHEMAS)
def test_wrong_schemas(tmp_path: Path, keys: str, value: Any, on_line: str, said: str) -> None:
    content = copy.deepcopy(SCHEMA)
    at(keys)(content, value)
    folder = write(tmp_path / "sgd", content, dialogues_001=DIALOGUES)
    expect(folder, folder / "schema.json", on_line, said)


def expect(folder: Path, path: Path, on_line: str, said: str) -> None:
    with pytest.raises(FormatError) as raised:
        read_sgd(folder)
    message = str(raised.value)
    assert said in message
    assert raised.value.path == path
    assert raised.value.line is not None
    assert on_line in path.read_text(encoding="utf-8").splitlines()[raised.value.line - 1]
    assert message.endswith(f"; {raised.value.mend}")
    assert "\n" not in message


def test_an_id_that_two_files_have_names_the_first(tmp_path: Path) -> None:
    folder = write(tmp_path / "sgd", dialogues_001=DIALOGUES, dialogues_002=DIALOGUES[1:])
    with pytest.raises(FormatError, match=r"dialogues_002.json:3: .*first in dialogues_001.json"):
        read_sgd(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "dialogues_001.json: the file is empty"),
        (b"\n\n", "dialogues_001.json: the file is empty"),
        (b"[\n{\n", "dialogues_001.json:3: not valid JSON at column 1"),
        (b'[\n{"a" 1}]', "dialogues_001.json:2: not valid JSON at column 6"),
        (b'["a",\n"\xff"]', "dialogues_001.json:2: byte 7 (0xff) is not UTF-8"),
        (b"{}", "dialogues_001.json:1: the file must be a list"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5_000 + b"]", ""),
        (b'["\\ud800"]', "dialogues_001.json:1: an escape that stands for no character"),
    ],
)
def test_dialogue_files_that_are_something_else(tmp_path: Path, content: bytes, said: str) -> None:
    folder = write(tmp_path / "sgd")
    (folder / "dialogues_001.json").write_bytes(content)
    with pytest.raises(FormatError) as raised:
        read_sgd(folder)
    assert said in str(raised.value)


def test_a_whole_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    content = copy.deepcopy(DIALOGUES)
    content[1]["turns"][0]["utterance"] = "\U0001f600"
    folder = write(tmp_path / "sgd")
    (folder / "dialogues_001.json").write_text(json.dumps(content), encoding="ascii")
    assert read_sgd(folder).dialogues[-1].turns[0].text == "\U0001f600"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"[]" * 1000)[:-9], "can't be unpacked"),
        (b"[]", "can't be unpacked"),
        (gzip.compress(b"")[:8] + b"\xff" * 30, "can't be unpacked"),
    ],
    ids=["truncated", "not packed", "garbage"],  # an archive holds the time, which no name should
)
def test_damaged_archives(tmp_path: Path, data: bytes, said: str) -> None:
    folder = write(tmp_path / "sgd")
    (folder / "dialogues_001.json.gz").write_bytes(data)
    with pytest.raises(FormatError, match=f"dialogues_001.json.gz: {said}"):
        read_sgd(folder)


def test_files_too_large_are_refused_packed_or_not(tmp_path: Path) -> None:
    folder = write(tmp_path / "sgd")
    plain = folder / "dialogues_001.json"
    with plain.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(FormatError, match=r"dialogues_001.json: holds more than 64 MiB"):
        read_sgd(folder)
    plain.unlink()
    with gzip.open(folder / "dialogues_001.json.gz", "wb", compresslevel=1) as packed:
        for _ in range(65):
            packed.write(b"\0" * 2**20)
    with pytest.raises(FormatError, match=r"dialogues_001.json.gz: holds more than 64 MiB"):
        read_sgd(folder)


def test_folders_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such folder"):
        read_sgd(tmp_path / "none")
    with pytest.raises(FormatError, match=r"no schema\.json in the folder"):
        read(tmp_path)
    (tmp_path / "dialogues_001.json").write_text("[]")
    with pytest.raises(FormatError, match="give the folder that holds it"):
        read(tmp_path / "dialogues_001.json")
    with pytest.raises(FormatError, match="not a folder"):
        read(tmp_path / "dialogues_001.json", format="sgd")
    with pytest.raises(FormatError, match=r"'train.json' is no SGD file name; call the"):
        read(write(tmp_path / "sgd", train=DIALOGUES))


def test_a_file_both_plain_and_gzipped(folder: Path) -> None:
    (folder / "dialogues_002.json.gz").write_bytes(gzip.compress(b"[]"))
    with pytest.raises(FormatError, match=r"'dialogues_002.json.gz' is there unpacked too"):
        read_sgd(folder)


def test_predictions_replace_the_states_and_nothing_of_the_reference_stays(
    folder: Path, tmp_path: Path
) -> None:
    taxi = State({"place": ("York",)}, "Book", ("size",))
    weather = State({"city": ("York", "york")}, "Ask")
    # One state a user turn; Weather_1 has no frame in the first one, Taxi_1 none in the second.
    predicted = {
        ("1_00000", "Taxi_1"): [taxi, taxi],
        ("1_00000", "Weather_1"): [weather, weather],
    }
    out = tmp_path / "out" / "predictions"
    assert write_sgd_predictions(folder, out, predicted) == Written(1, ())
    # SGD's scorer takes every *.json for dialogues, a schema too.
    assert sorted(path.name for path in out.iterdir()) == ["dialogues_001.json", "schema.json.gz"]
    (written,) = json.loads((out / "dialogues_001.json").read_text(encoding="utf-8"))
    assert written["turns"][0]["frames"] == [
        {
            "service": "Taxi_1",
            "state": {
                "active_intent": "Book",
                "requested_slots": ["size"],
                "slot_values": {"place": ["York"]},
            },
        }
    ]
    assert written["turns"][1] == DIALOGUES[0]["turns"][1]
    assert read_sgd(out).schemas == read_sgd(folder).schemas
    first, second = read_sgd(out).dialogues
    assert [turn.state for turn in first.turns] == [taxi, None, None]
    assert [turn.state for turn in second.turns] == [None, None, weather]


def test_a_missing_prediction_counts_as_an_empty_state(folder: Path, tmp_path: Path) -> None:
    write_sgd_predictions(folder, tmp_path / "out", {("1_00001", "Weather_1"): [None]})
    (found,) = read_sgd(tmp_path / "out").dialogues
    assert found.turns[0].state == State()


def test_a_dialogue_with_some_services_only_is_left_out(folder: Path, tmp_path: Path) -> None:
    predicted = {("1_00000", "Taxi_1"): [None, None], ("1_00001", "Weather_1"): [None]}
    assert write_sgd_predictions(folder, tmp_path / "out", predicted) == Written(1, ("1_00000",))


def test_what_is_left_out_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def result(dialogue: str, service: str, seed: int, turns: int) -> Result:
        return Result(service, "adapted", 1, seed, 0.0, (), {dialogue: (None,) * turns}, 0)

    results = [
        *(result("1_00000", "Taxi_1", seed, 2) for seed in (0, 1)),
        result("1_00001", "Weather_1", 0, 1),
    ]
    write_predictions(str(folder), str(tmp_path / "some"), results)
    assert capsys.readouterr().err.startswith("1 dialogues over other services too aren't in ")
    write_predictions(str(folder), str(tmp_path / "all"), results[2:])
    assert capsys.readouterr().err == ""


def test_predictions_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    for index, (key, states, said) in enumerate(
        [
            (("1_00001", "Weather_1"), [None, None], "2 states for the 1 user turns of '1_00001'"),
            (("1_00001", "Taxi_1"), [None], "'1_00001' is not about 'Taxi_1'"),
            (("1_00009", "Taxi_1"), [None], "predictions for '1_00009', which is not in"),
        ]
    ):
        with pytest.raises(ValueError, match=said):
            write_sgd_predictions(folder, tmp_path / f"out{index}", {key: states})


def test_predictions_are_not_mixed_with_other_files(folder: Path, tmp_path: Path) -> None:
    predicted = {("1_00001", "Weather_1"): [None]}
    with pytest.raises(ConfigError, match=r"holds dialogues_001.json already; choose an empty"):
        write_sgd_predictions(folder, folder, predicted)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be written"):
        write_sgd_predictions(folder, tmp_path / "file", predicted)


def test_real_data(sgd_folder: Path, tmp_path: Path) -> None:
    """A file of SGD dev, counted independently."""
    paths = sorted((sgd_folder / "dev").glob("dialogues_01*.json*"))[:1]
    assert paths
    for path in [*paths, *(sgd_folder / "dev").glob("schema.json*")]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    packed = paths[0].read_bytes()
    raw = json.loads(gzip.decompress(packed) if paths[0].suffix == ".gz" else packed)
    frames = [
        (dialogue["dialogue_id"], frame)
        for dialogue in raw
        for turn in dialogue["turns"]
        for frame in turn["frames"]
    ]
    corpus = read_sgd(tmp_path)
    assert [(each.id, each.domain) for each in corpus.dialogues] == [
        (dialogue["dialogue_id"], service) for dialogue in raw for service in dialogue["services"]
    ]
    turns = [turn for each in corpus.dialogues for turn in each.turns]
    states = [turn.state for turn in turns if turn.state is not None]
    assert len(states) == sum("state" in frame for _, frame in frames) > 0
    assert sum(len(state.values) for state in states) == sum(
        len(frame["state"]["slot_values"]) for _, frame in frames if "state" in frame
    )
    assert sum(turn.action is not None for turn in turns) == sum(
        "service_call" in frame for _, frame in frames
    )
    assert sum(len(turn.spans) for turn in turns) == sum(len(frame["slots"]) for _, frame in frames)

    # They can be said in our own format too.
    some = corpus.dialogues[0]
    same = [each for each in corpus.dialogues if each.domain == some.domain][:3]
    write_yaml(tmp_path / "some.yml", corpus.schemas[some.domain], same)
    assert read_yaml(tmp_path / "some.yml").schemas == {some.domain: corpus.schemas[some.domain]}


def test_real_data_goes_there_and_back(sgd_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    dev = sgd_folder / "dev"
    for path in [*sorted(dev.glob("dialogues_01*.json*"))[:1], *dev.glob("schema.json*")]:
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    corpus = read_sgd(tmp_path / "in")
    write_sgd(tmp_path / "out", corpus.schemas, corpus.dialogues)
    assert read_sgd(tmp_path / "out") == corpus


def test_real_schemas_without_dialogues(sgd_folder: Path, sgd_x_folder: Path) -> None:
    original = read_sgd_schemas(sgd_folder / "train")
    paraphrased = read_sgd_schemas(sgd_x_folder / "v1" / "train")
    assert len(paraphrased) == len(original) == 26
