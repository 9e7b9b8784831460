"""Dialogue files that are uploaded to the console, as texts with names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rasa_onramp.console.uploads import corpus_of
from rasa_onramp.formats import read
from rasa_onramp.formats.sgd_corpus import write_sgd
from rasa_onramp.refusals import Refused

YAML = """\
onramp: "1.0"
domain:
  name: parcels
  slots: [{name: number}]
  intents: [{name: track, required_slots: [number]}]
dialogues:
  - id: a
    turns: [{user: hello}]
"""


def file(name: str, text: str) -> Dict[str, Any]:
    return {"name": name, "text": text}


def sgd_files(folder: Path, source: Path) -> List[Dict[str, Any]]:
    """A domain of ours as the files of a folder in SGD's format."""
    corpus = read(source)
    folder = folder / "sgd"
    write_sgd(folder, corpus.schemas, corpus.dialogues)
    return [file(path.name, path.read_text(encoding="utf-8")) for path in sorted(folder.iterdir())]


def test_yaml_is_read_as_from_a_file(repository: Path) -> None:
    paths = sorted((repository / "dialogue_data").glob("*.yml"))[:2]
    texts = [file(path.name, path.read_text(encoding="utf-8")) for path in paths]
    found = corpus_of(texts)
    wanted = [read(path) for path in paths]
    assert found.schemas == {**wanted[0].schemas, **wanted[1].schemas}
    assert found.dialogues == wanted[0].dialogues + wanted[1].dialogues


def test_sgd_is_read_as_from_a_folder(repository: Path, tmp_path: Path) -> None:
    files = sgd_files(tmp_path, repository / "dialogue_data" / "parcel_delivery.yml")
    assert {each["name"] for each in files} >= {"schema.json"}
    found, wanted = corpus_of(files[::-1]), read(tmp_path / "sgd")
    assert (found.schemas, found.dialogues) == (wanted.schemas, wanted.dialogues)


def test_a_malformed_file_is_named_with_its_line() -> None:
    text = YAML.replace("    turns: [{user: hello}]", "    turns: [{user: [no](colour)}]")
    with pytest.raises(Refused, match=r"^mine\.yml:8: .*; ") as caught:
        corpus_of([file("mine.yml", text)])
    assert caught.value.line == 8


def test_a_malformed_sgd_file_is_named_without_a_folder(repository: Path, tmp_path: Path) -> None:
    files = sgd_files(tmp_path, repository / "dialogue_data" / "parcel_delivery.yml")
    dialogues = next(each for each in files if each["name"].startswith("dialogues"))
    content = json.loads(dialogues["text"])
    del content[1]["turns"]
    dialogues["text"] = json.dumps(content, indent=1)
    with pytest.raises(Refused, match=rf"^{dialogues['name']}:\d+: ") as caught:
        corpus_of(files)
    assert caught.value.line is not None
    with pytest.raises(Refused, match=r"^the upload: no schema\.json"):
        corpus_of([dialogues])


@pytest.mark.parametrize(
    ("files", "saying"),
    [
        (None, "there is no file"),
        ([], "there is no file"),
        ("x", "there is no file"),
        ([file("a.yml", YAML)] * 101, "more than 100 files"),
        (["a.yml"], "isn't a JSON object"),
        ([{"name": "a.yml"}], "'text' is missing"),
        ([file("a.yml", "  \n")], "'text' is empty"),
        ([{**file("a.yml", YAML), "path": "/etc"}], "there is no key 'path'"),
        ([file("../a.yml", YAML)], r"'\.\./a\.yml' is no file name"),
        ([file("a\0.yml", YAML)], "is no file name"),
        ([file("notes.txt", YAML)], "doesn't tell its format"),
        ([file("dialogues_.json", "[]")], "doesn't tell its format"),
        ([file(f"dialogues_{'会' * 90}.json", "[]")], "doesn't tell its format"),
        ([file("schema.json", "[]")] * 2, "schema.json is there twice"),
        ([file("schema.json", "[]")], "schema.json:1: no services"),
        ([file("a.yml", YAML + "# \ud83d")], "a.yml:9: a character that can't be stored"),
        ([file("a.yml", YAML), file("b.yml", YAML.replace("hello", "hi"))], "give one of them"),
        ([file("a.yml", "!!python/object/apply:os.system [id]")], "a.yml:1: "),
        ([file("a.yml", "a: &a [*a]")], "a.yml:"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(files: Any, saying: str) -> None:
    with pytest.raises(Refused, match=saying) as caught:
        corpus_of(files)
    assert "\n" not in str(caught.value)
