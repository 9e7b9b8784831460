"""Files that somebody made to do harm: refused in one line, soon, without leaving the folder."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from rasa_onramp.dialogue import Span, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsonl import read_jsonl
from rasa_onramp.formats.jsontext import line_of, parse_json
from rasa_onramp.formats.multiwoz import read_multiwoz
from rasa_onramp.formats.nodes import Fields, Items, Text
from rasa_onramp.formats.rasa_events import read_conversation
from rasa_onramp.formats.rasa_parts import value_text
from rasa_onramp.formats.rasa_text import parse_annotated
from rasa_onramp.formats.sgd import read_sgd
from rasa_onramp.formats.shape import Misfit
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.stories import read_stories
from rasa_onramp.formats.utterances import as_turns
from rasa_onramp.formats.wording import one_line, quote, visible
from rasa_onramp.formats.yaml import parse_yaml, read_yaml
from rasa_onramp.formats.yaml_schema import read_schema
from valid_input import TAXI, VALID_EVENTS, VALID_LOG, VALID_SGD, VALID_STORIES, VALID_YAML


def refused(reading: Callable[[], Any], saying: str) -> FormatError:
    with pytest.raises(FormatError) as caught:
        reading()
    assert saying in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    return caught.value


def sgd_folder_in(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in VALID_SGD.items():
        (folder / name).write_text(json.dumps(changes.get(name.split(".")[0], content)))
    return folder


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "saying"),
    [
        (BOMB, "an anchor, &a"),
        (VALID_YAML + "more: *a\n", "an alias, *a"),
        (VALID_YAML.replace("taxi", "!!python/object/apply:os.system [id]"), "a tag, "),
        ("[" * 20_000, "nested too deeply"),
        ("a:\n" + "".join(f"{'  ' * n}a:\n" for n in range(1, 400)), "nested too deeply"),
        (VALID_YAML.replace("name: taxi", 'name: "ta\\0xi"'), "stands for no character"),
        (VALID_YAML.replace("name: taxi", 'name: "ta\\ud800xi"'), ""),
        (VALID_YAML.replace("name: taxi", "name: ../../taxi"), "can't be the name of a domain"),
    ],
)
def test_yaml_that_multiplies_runs_or_escapes(text: str, saying: str) -> None:
    begun = time.process_time()
    refused(lambda: parse_yaml(text, "x.yml"), saying)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("read", [read_sgd, read_multiwoz])
def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    folder = sgd_folder_in(tmp_path / "sgd")
    (folder / "dialogues_001.json").unlink()
    with gzip.open(folder / "dialogues_001.json.gz", "wb") as packed:
        for _ in range(65):
            packed.write(b" " * 2**20)
    assert (folder / "dialogues_001.json.gz").stat().st_size < 2**20
    refused(lambda: read(folder), "holds more than 64 MiB")


@pytest.mark.parametrize("read", [read_sgd, read_multiwoz])
def test_services_and_turns_do_not_multiply(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    schema = [{**VALID_SGD["schema.json"][0], "service_name": f"S_{n}"} for n in range(400)]
    said = [
        {"speaker": speaker, "utterance": "a", "frames": []}
        for _ in range(150)
        for speaker in ("USER", "SYSTEM")
    ]
    names = [service["service_name"] for service in schema]
    dialogue = {"dialogue_id": "1", "services": names, "turns": said}
    folder = sgd_folder_in(tmp_path / "sgd", schema=schema, dialogues_001=[dialogue])
    refused(lambda: read(folder), "dialogues_001.json:1: 400 services x 300 turns in dialogue '1'")


def test_a_folder_of_dialogues_does_not_multiply_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = VALID_SGD["dialogues_001.json"][0]
    many = [{**first, "dialogue_id": str(n)} for n in range(5)]
    folder = sgd_folder_in(tmp_path / "sgd", dialogues_001=many)
    made = sum(len(dialogue.turns) for dialogue in read_sgd(folder).dialogues)
    monkeypatch.setattr("rasa_onramp.formats.sgd._MOST_OF_A_FOLDER", made - 1)
    refused(lambda: read_sgd(folder), f"makes {made} turns, each service's by itself; import it in")


def test_many_values_are_looked_through_once() -> None:
    listed = Items(tuple(Text(f"value {n}", n) for n in range(100_000)), 1)
    slots = Items((Fields({"name": Text("size", 1), "values": listed}, {}, 1),), 1)
    begun = time.process_time()
    (slot,) = read_schema(Fields({"name": Text("taxi", 1), "slots": slots}, {}, 1)).slots
    assert len(slot.values) == 100_000
    assert time.process_time() - begun < 5


def test_a_speaker_who_never_ends_is_joined_soon() -> None:
    said = [Turn("user", "x" * 1000, spans=(Span("size", 0, 1000),)) for _ in range(20_000)]
    begun = time.process_time()
    (turn,) = as_turns([Turn("system", "hi"), *said])
    assert time.process_time() - begun < 5
    assert turn.text == " ".join(each.text for each in said)
    assert turn.spans[-1] == Span("size", len(turn.text) - 1000, len(turn.text))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yml")
    refused(lambda: read_yaml(tmp_path / "x.yml"), "not a regular file")


@pytest.mark.parametrize("depth", [900, 970, 975, 980, 985, 990, 995, 100_000])
def test_json_of_any_depth(tmp_path: Path, depth: int) -> None:
    """What the parser can just read must not be too deep for what looks at it afterwards."""
    deep = "[" * depth + "]" * depth
    path = tmp_path / "chats.jsonl"
    for key in ("intent", "split", "time", "text", "slots", "action", "conversation", "speaker"):
        line: Dict[str, Any] = {**VALID_LOG[0], key: "@"}
        path.write_text(json.dumps(line).replace('"@"', deep), encoding="utf-8")
        refused(lambda: read_jsonl(path, TAXI), f"{path}:1: ")
    path.write_text(json.dumps(VALID_LOG[0]).replace('"size"', deep), encoding="utf-8")
    refused(lambda: read_jsonl(path, TAXI), f"{path}:1: ")
    event = json.dumps({**VALID_EVENTS[2], "value": "@"}).replace('"@"', deep)
    _refused_events([(1, "slot", event)], "row 1")
    folder = sgd_folder_in(tmp_path / "sgd")
    text = (folder / "dialogues_001.json").read_text()
    (folder / "dialogues_001.json").write_text(text.replace('"Leeds"', deep + ',"\\u0000"'))
    refused(lambda: read_sgd(folder), "dialogues_001.json")


def test_a_line_that_is_too_deep_is_named(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(f"{json.dumps(VALID_LOG[0])}\n{'[' * 100_000}", encoding="utf-8")
    said = refused(lambda: read_jsonl(path, TAXI), f"{path}:2: JSON nested too deeply")
    assert str(said).endswith("; leave the line out or flatten it")
    refused(lambda: parse_json("[" * 100_000, path), "; flatten it")


def test_where_something_is_in_deep_json_is_said_as_far_as_it_can_be() -> None:
    text = '{"a":\n' + "[" * 5000 + "]" * 5000 + ',\n"b": 1}'
    assert line_of(text, ("a", 0, 0)) >= 1
    assert line_of(text, ("b",)) >= 1


def test_numbers_that_are_too_large(tmp_path: Path) -> None:
    huge = 10**400
    with pytest.raises(Misfit, match="'size' is set to a number too large"):
        value_text(10**5000, "size")
    refused(lambda: parse_json("9" * 5000, tmp_path), "a number too long")
    path = tmp_path / "chats.jsonl"
    for key in ("time", "intent", "split", "action"):
        path.write_text(json.dumps({**VALID_LOG[0], key: huge}), encoding="utf-8")
        refused(lambda: read_jsonl(path, TAXI), f"{path}:1")


def _refused_events(rows: List[Any], saying: str) -> None:
    refused(lambda: list(read_conversation("ann", rows, TAXI, "rasa.db")), saying)


@pytest.mark.parametrize("data", [b"{}", b"\xff\0", 3, 1.5])
def test_cells_that_hold_no_text(data: Any) -> None:
    """SQLite's columns hold whatever is put into them."""
    _refused_events([(1, "user", data)], "row 1")


@pytest.mark.parametrize(
    ("message", "saying"),
    [
        ('[x]{"a": ' + "[" * 100_000 + "}", "isn't valid JSON"),
        ('[x]{"entity": "place", "value": "a\\u0000"}', "stands for no character"),
        ('[x]{"entity": "a\\ud800"}', "stands for no character"),
        ("[x]{}", None),
    ],
)
def test_marks_in_stories(tmp_path: Path, message: str, saying: str) -> None:
    path = tmp_path / "stories.yml"
    quoted = json.dumps(message)
    path.write_text(VALID_STORIES.replace("user: /small", f"user: {quoted}"), encoding="utf-8")
    if saying is None:
        assert read_stories(path, TAXI).dialogues
    else:
        assert refused(lambda: read_stories(path, TAXI), saying).line is not None


LONG = "x" * 2**20
SAID = "- user: /small"
FILLED = "responses:\n  utter_a:\n    - text: '" + "{a}" * 10_000 + "'\n"
NAMED = f"responses:\n  utter_b:\n    - text: {'b' * 60_000}\n"
MULTIPLIED = {
    "placeholders": (
        FILLED,
        f"{SAID}|- slot_was_set: {{a: {LONG}}}|- action: utter_a",
        "'utter_a'",
    ),
    "a turn": (NAMED, SAID + "|- action: utter_b" * 100, "what the bot says here comes"),
    "a story": (NAMED, f"{SAID}|- action: utter_b|" * 100, "the story up to here comes"),
}


@pytest.mark.parametrize("what", sorted(MULTIPLIED))
def test_responses_do_not_multiply(tmp_path: Path, what: str) -> None:
    parts, steps, saying = MULTIPLIED[what]
    path = tmp_path / "stories.yml"
    lines = steps.strip("|").split("|")
    path.write_text(
        f"{parts}stories:\n- story: s\n  steps:\n" + "".join(f"  {each}\n" for each in lines)
    )
    assert refused(lambda: read_stories(path, TAXI), saying).line is not None


def test_many_stories_do_not_multiply_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stories.yml"
    path.write_text(VALID_STORIES, encoding="utf-8")
    said = sum(len(turn.text) for each in read_stories(path, TAXI).dialogues for turn in each.turns)
    monkeypatch.setattr("rasa_onramp.formats.stories._ALL", said - 1)
    refused(lambda: read_stories(path, TAXI), f"comes to {said} characters; keep to {said - 1}")


BRACKETS = {
    "never closed": "[" * 500_000,
    "entities never closed": "[a](x" * 100_000,
    "objects never closed": "[a]{" * 100_000,
    "lists never closed": "[a][" * 100_000,
    "objects in a list never closed": "[a][" + "{" * 400_000 + "]",
    "closed once": "[" * 200_000 + "]" + "[" * 200_000,
    "values never closed": "[a](x:" * 100_000,
}


@pytest.mark.parametrize("what", sorted(BRACKETS))
def test_brackets_take_no_more_time_the_more_there_are(what: str) -> None:
    begun = time.process_time()
    assert parse_annotated(BRACKETS[what])[1] == ()
    assert time.process_time() - begun < 5


def test_blanks_take_no_more_time_the_more_there_are(tmp_path: Path) -> None:
    path = tmp_path / "stories.yml"
    blanks = " " * 300_000
    example = VALID_STORIES.replace("- to [Leeds](place)", f"- to [Leeds](place)\n      - {blanks}")
    pressed = VALID_STORIES.replace("user: /small", f'user: "/small{blanks}x"')
    for text in (example, pressed):
        path.write_text(text, encoding="utf-8")
        begun = time.process_time()
        assert read_stories(path, TAXI).dialogues
        assert time.process_time() - begun < 10


@pytest.mark.parametrize("name", ["ta\x1b[2Jxi", "ta\nxi", "ta\u202exi"])
def test_names_that_steer_a_terminal(tmp_path: Path, name: str) -> None:
    schema = [{**VALID_SGD["schema.json"][0], "service_name": name}]
    folder = sgd_folder_in(tmp_path / "sgd", schema=schema)
    refused(lambda: read_sgd(folder), "schema.json:1: ")


def test_words_cannot_steer_a_terminal() -> None:
    assert visible("a\x1b[2Jb\rc\x9b\u202ed\ud83d") == "a\\x1b[2Jb\\rc\\x9b\\u202ed\\ud83d"
    assert visible("caf\u00e9 \U0001f469\u200d\U0001f680\n\tok") == (
        "caf\u00e9 \U0001f469\u200d\U0001f680\n\tok"
    )


def test_a_text_in_a_list_is_one_line() -> None:
    assert one_line("a\n\tb\r\x1bc") == "a\\n\\tb\\r\\x1bc"


def test_what_is_too_deep_to_be_said_is_said_so() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    assert quote(deep) == "'something nested too deeply or too long'"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that is nobody's business."""
    path = tmp_path / "secret.json"
    path.write_text('[{"dialogue_id": "s3cret"', encoding="utf-8")
    return path


@pytest.mark.parametrize("read", [read_sgd, read_multiwoz])
@pytest.mark.parametrize("name", ["dialogues_001.json", "dialogues_002.json", "schema.json"])
def test_links_do_not_lead_out_of_a_folder(
    tmp_path: Path, secret: Path, read: Callable[[Path], Any], name: str
) -> None:
    folder = sgd_folder_in(tmp_path / "sgd")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    error = refused(lambda: read(folder), "is a link that leads out of its folder")
    assert "s3cret" not in str(error)


def test_links_do_not_lead_out_of_a_folder_of_stories(tmp_path: Path, secret: Path) -> None:
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "stories.yml").write_text(VALID_STORIES, encoding="utf-8")
    found = read_stories(folder, TAXI)
    (folder / "more.yml").symlink_to(secret)
    assert read_stories(folder, TAXI) == found  # it is none of Rasa's
    secret.write_text("stories:\n- s3cret", encoding="utf-8")
    refused(lambda: read_stories(folder, TAXI), "is a link that leads out of its folder")


def test_links_within_a_folder_are_followed(tmp_path: Path) -> None:
    """As git-annex and the like lay out their data."""
    folder = sgd_folder_in(tmp_path / "sgd")
    (folder / "objects").mkdir()
    os.replace(folder / "dialogues_001.json", folder / "objects" / "1")
    (folder / "dialogues_001.json").symlink_to("objects/1")
    assert len(read_sgd(folder).dialogues) == 1
    assert read_sgd(tmp_path / "sgd") == read_sgd(_linked(tmp_path / "elsewhere", folder))


def _linked(link: Path, folder: Path) -> Path:
    link.symlink_to(folder)
    return link


def test_a_file_that_is_named_by_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yml").write_text(VALID_YAML, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.yml").symlink_to(tmp_path / "real.yml")
    assert read_yaml(tmp_path / "sub" / "x.yml").schemas
    assert read_text(tmp_path / "sub" / "x.yml", 10**6)
