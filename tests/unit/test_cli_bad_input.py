"""Bad input to the command line: one line on stderr, exit code 2, the store as it was."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from command_line import Outcome, dump, invoke, spawn
from rasa_onramp.tracker.checkpoint import save_tracker
from servers import free_port
from tiny_tracker import tiny_tracker, tokenizer_json

GOOD = """\
onramp: "1.0"
domain:
  name: cafe
  description: Book a table
  slots:
    - {name: day, description: Day of the visit}
    - {name: seating, description: Where to sit, values: [inside, terrace]}
  intents:
    - name: book_table
      description: Book a table
      required_slots: [day]
      optional_slots: {seating: dontcare}
dialogues:
  - id: cafe-1
    split: support
    turns:
      - user: "a table on [friday](day)"
        intent: book_table
      - system: "Inside or on the terrace?"
  - id: cafe-2
    split: held-out
    turns:
      - user: "a table on [monday](day), [inside](seating)"
        intent: book_table
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with the domain `cafe`; its file."""
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "home"))
    good = tmp_path / "good.yml"
    good.write_text(GOOD, encoding="utf-8")
    assert invoke("init").code == 0
    assert invoke("import", "--quiet", good).code == 0
    return tmp_path / "home" / "onramp.db"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(rank=2, steps=1), folder, tokenizer_json())
    return folder


def refused(done: Outcome, *saying: str) -> None:
    """Bad input as it should be answered; `saying` are parts of the line."""
    assert done.code == 2, done
    assert done.err.startswith("rasa-onramp: ")
    assert done.err.count("\n") == 1, done.err
    assert len(done.err) < 600
    assert [text for text in saying if text not in done.err] == []


def changed(old: str, new: str) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new).encode("utf-8")


def _schema_without_slots() -> bytes:
    start, end = GOOD.index("  slots:"), GOOD.index("  intents:")
    return (GOOD[:start] + GOOD[end:]).encode("utf-8")


#: Name → (file's content, parts of the message).
FILES: Dict[str, tuple] = {
    "schema without slots": (_schema_without_slots, ["slots"]),
    "unknown slot": (lambda: changed("[friday](day)", "[friday](dya)"), ["dya", ":17"]),
    "value not listed": (
        lambda: changed(
            "intent: book_table\n      - system", "set: {seating: roof}\n      - system"
        ),
        ["roof", "seating"],
    ),
    "duplicate ids": (lambda: changed("id: cafe-2", "id: cafe-1"), ["cafe-1"]),
    "empty file": (lambda: b"", ["empty"]),
    "only blanks": (lambda: b" \n\n", ["empty"]),
    "a line of 100 MB": (lambda: b'onramp: "' + b"x" * 100_000_000, ["MiB"]),
    "invalid UTF-8": (lambda: GOOD.encode().replace(b"friday", b"fr\xffday"), ["UTF-8", ":17"]),
    "not YAML": (lambda: b"onramp: [\n", []),
    "another YAML file": (lambda: b"version: '3.1'\n", ["onramp"]),
    "a later version": (lambda: changed('"1.0"', '"9.0"'), ["9.0"]),
    "a slot of no intent": (
        lambda: changed("      optional_slots: {seating: dontcare}\n", ""),
        ["seating", "required_slots or optional_slots", ":22"],
    ),
    "unknown intent": (
        lambda: changed(
            "        intent: book_table\n      - s", "        intent: boook\n      - s"
        ),
        ["boook"],
    ),
}


@pytest.mark.parametrize("what", sorted(FILES))
def test_dialogue_files(store: Path, tmp_path: Path, what: str) -> None:
    make, saying = FILES[what]
    bad = tmp_path / "bad.yml"
    bad.write_bytes(make())
    before = dump(store)
    refused(invoke("import", "--quiet", bad), str(bad), *saying)
    refused(invoke("import", "--quiet", tmp_path / "good.yml", bad), str(bad))
    assert dump(store) == before


def test_a_new_file_before_a_bad_one_is_not_imported(store: Path, tmp_path: Path) -> None:
    new, bad = tmp_path / "new.yml", tmp_path / "bad.yml"
    new.write_bytes(changed("name: cafe", "name: bistro"))
    bad.write_bytes(b"")
    before = dump(store)
    refused(invoke("import", "--quiet", new, bad), str(bad))
    assert dump(store) == before


def test_files_that_contradict_each_other_or_the_store(store: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.yml", tmp_path / "second.yml"
    before = dump(store)
    first.write_bytes(changed("name: cafe", "name: bistro"))
    # the store's dialogues sit inside
    second.write_bytes(changed("[inside, terrace]", "[terrace, bar]").split(b"dialogues:")[0])
    refused(invoke("import", first, second), "cafe-2", "inside")
    second.write_bytes(changed("name: cafe", "name: bistro").replace(b"Book a", b"Get a"))
    refused(invoke("import", first, second), "bistro", "first.yml", "second.yml")
    second.write_bytes(first.read_bytes().replace(b"monday", b"sunday"))
    refused(invoke("import", first, second), "cafe-2", "first.yml", "second.yml")
    assert dump(store) == before


def test_formats(store: Path, tmp_path: Path) -> None:
    text = tmp_path / "dialogues.txt"
    text.write_text(GOOD, encoding="utf-8")
    before = dump(store)
    refused(invoke("import", text), "yaml", "sgd")
    refused(invoke("import", "--format", "csv", text), "csv")
    refused(invoke("import", tmp_path / "nowhere.yml"), "nowhere.yml")
    refused(invoke("import", "--services", " , ", text), "--services")
    refused(invoke("import", "--services", "Bars_1", tmp_path / "good.yml"), "Bars_1")
    assert dump(store) == before


def test_sgd_folders(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sgd"
    folder.mkdir()
    before = dump(store)
    refused(invoke("import", folder), str(folder))
    schema = {
        "service_name": "Cafe_1",
        "description": "",
        "slots": [
            {"name": "day", "description": "", "is_categorical": False, "possible_values": []}
        ],
        "intents": [],
    }
    (folder / "schema.json").write_text(json.dumps([schema]), encoding="utf-8")
    (folder / "dialogues_001.json").write_text('[{"dialogue_id": "1",\n oops', encoding="utf-8")
    refused(invoke("import", folder), "dialogues_001.json:2")
    (folder / "schema.json").write_text(json.dumps([{**schema, "slots": []}]), encoding="utf-8")
    refused(invoke("import", folder), "schema.json", "slots")
    assert dump(store) == before


def test_names_that_the_store_lacks(store: Path, checkpoint: Path) -> None:
    before = dump(store)
    refused(invoke("versions", "list", "bistro"), "bistro")
    refused(invoke("adapt", "cafe", "bistro", "--checkpoint", checkpoint), "bistro")
    refused(invoke("adapt", "--checkpoint", checkpoint), "--all")
    refused(invoke("chat", "bistro", "--checkpoint", checkpoint), "bistro")
    assert dump(store) == before


def test_no_store_yet(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "nothing"))
    good = tmp_path / "good.yml"
    good.write_text(GOOD, encoding="utf-8")
    for arguments in (
        ["import", good],
        ["domains"],
        ["adapt", "cafe", "--checkpoint", checkpoint],
        ["chat", "--checkpoint", checkpoint],
    ):
        refused(invoke(*arguments), "rasa-onramp init")
    assert not (tmp_path / "nothing").exists()


URLS: Dict[str, Callable[[Path], str]] = {
    "not a URL": lambda folder: "the database",
    "an unknown database": lambda folder: "mysql://ann:s3cret@host/name",
    "unreachable": lambda folder: f"postgresql://ann:s3cret@127.0.0.1:{free_port()}/name",
    "not a database": lambda folder: f"sqlite:///{folder / 'good.yml'}",
}


@pytest.mark.parametrize("what", sorted(URLS))
def test_databases(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    before = dump(store)
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", URLS[what](tmp_path))
    for arguments in (["init"], ["domains"], ["import", tmp_path / "good.yml"], ["chat"]):
        done = invoke(*arguments)
        refused(done)
        assert "s3cret" not in done.err
    assert dump(store) == before
    assert (tmp_path / "good.yml").read_text(encoding="utf-8") == GOOD


def _truncated(folder: Path) -> None:
    path = folder / "tracker.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _flipped(folder: Path) -> None:
    path = folder / "tracker.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _missing(folder: Path) -> None:
    (folder / "tracker.safetensors").unlink()


def _no_config(folder: Path) -> None:
    (folder / "tracker.json").write_text("{}", encoding="utf-8")


@pytest.mark.parametrize("damage", [_truncated, _flipped, _missing, _no_config])
def test_checkpoints(
    store: Path, checkpoint: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    damage(broken)
    before = dump(store)
    refused(invoke("adapt", "cafe", "--checkpoint", broken), str(broken))
    refused(invoke("evaluate", "--data", tmp_path / "good.yml", "--checkpoint", broken))
    assert dump(store) == before


def test_a_device_that_is_none(store: Path, checkpoint: Path) -> None:
    for device in ("tpu-ish", "cuda:99"):
        refused(invoke("adapt", "cafe", "--checkpoint", checkpoint, "--device", device), "--device")


def test_an_adapter_that_is_not_what_was_stored(store: Path, checkpoint: Path) -> None:
    adapt = ("adapt", "cafe", "--no-replies", "--quiet", "--checkpoint", checkpoint)
    assert invoke(*adapt, "--switch-anyway").code == 0
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE adapters SET weights = zeroblob(10)")
    connection.close()
    before = dump(store)
    activate = ("versions", "activate", "cafe", "1")
    refused(invoke(*activate), "cafe", "digest", "rasa-onramp adapt cafe")
    assert dump(store) == before
    assert invoke(*adapt).code == 0
    assert "2 (active)" in invoke("versions", "list", "cafe").out


@pytest.mark.parametrize(
    ("options", "saying"),
    [
        (["--services", "bistro"], "bistro"),
        (["--shots", "7"], "--shots"),
        (["--format", "csv"], "csv"),
        (["--json", "{here}/nowhere/out.json"], "--json"),
        (["--json", "{here}"], "--json"),
        (["--plot", "{here}/nowhere/out.png"], "--plot"),
    ],
)
def test_evaluate(
    store: Path, tmp_path: Path, checkpoint: Path, options: List[str], saying: str
) -> None:
    chosen = [option.replace("{here}", str(tmp_path)) for option in options]
    done = invoke(
        "evaluate", "--data", tmp_path / "good.yml", "--quiet", "--checkpoint", checkpoint, *chosen
    )
    refused(done, saying)


def test_predictions_of_a_file_that_is_not_sgd(tmp_path: Path, checkpoint: Path) -> None:
    """Said before the work, not after it."""
    good = tmp_path / "good.yml"
    good.write_text(GOOD, encoding="utf-8")
    out = tmp_path / "out"
    done = invoke(
        "evaluate", "--data", good, "--shots", "0", "--checkpoint", checkpoint, "--predictions", out
    )
    refused(done, "--predictions")
    assert not out.exists()


def test_the_program_says_the_same(store: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_bytes(FILES["unknown slot"][0]())
    before = dump(store)
    refused(spawn("import", bad), "dya")
    refused(spawn("versions", "list", "bistro"), "bistro")
    assert dump(store) == before
