"""`rasa-onramp import` of conversations: whose they are, which wait for labels, which stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from command_line import invoke
from rasa_onramp.dialogue import Dialogue, State, Turn, unlabelled
from rasa_onramp.store import Store, open_store
from tiny_tracker import CAFE

DOMAIN = CAFE.name
SAID: List[Dict[str, Any]] = [
    {"conversation": "raw", "speaker": "user", "text": "a table on friday"},
    {"conversation": "raw", "speaker": "bot", "text": "For how many?"},
    {"conversation": "given", "speaker": "user", "text": "today", "slots": {"visit_day": "today"}},
]

STORIES = """\
stories:
  - story: s
    steps:
      - user: "on [friday](visit_day)"
      - bot: "ok"
"""

SCHEMA = """\
onramp: "1.0"
domain:
  name: TableBooking_1
  slots: [{name: visit_day}, {name: seating, values: [inside, terrace, bar]}]
  intents: [{name: BookTable, required_slots: [visit_day]}]
dialogues:
  - id: not imported
    turns: [{user: hello}]
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "schema.yml").write_text(SCHEMA, encoding="utf-8")
    log(tmp_path, SAID)
    (tmp_path / "stories.yml").write_text(STORIES, encoding="utf-8")
    assert invoke("init").code == 0
    with open_store() as opened:
        yield opened


def log(folder: Path, lines: List[Dict[str, Any]]) -> Path:
    path = folder / "chats.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def ids(store: Store, waiting: bool = False) -> List[str]:
    return [dialogue.id for dialogue in store.dialogues.dialogues(DOMAIN, waiting=waiting)]


def test_what_has_no_states_waits(store: Store, tmp_path: Path) -> None:
    log_file = tmp_path / "chats.jsonl"
    done = invoke("import", "--schema", tmp_path / "schema.yml", log_file)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{DOMAIN}: 2 dialogues added, 0 replaced, 0 unchanged",
        f"1 wait for labels: rasa-onramp label {DOMAIN}",
    ]
    assert (ids(store), ids(store, waiting=True)) == (["given"], ["raw"])
    # the domain is there now
    again = invoke("import", "--domain", DOMAIN, log_file)
    assert again.out == f"{DOMAIN}: 0 dialogues added, 0 replaced, 2 unchanged\n"


def test_a_schema_too_long_to_be_tracked_is_said(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "long.yml"
    values = ", ".join(f"seat {n}" for n in range(300))
    path.write_text(SCHEMA.replace("inside, terrace, bar", values), encoding="utf-8")
    found = invoke("import", path)
    assert found.code == 0 and found.err.startswith(f"warning: domain {DOMAIN!r} takes ")
    assert found.err.endswith(
        "list fewer values or split the domain. Bots leave it out until then\n"
    )
    path.write_text(SCHEMA, encoding="utf-8")
    assert invoke("import", path).err == ""


def test_what_no_call_will_have_is_said(store: Store, tmp_path: Path) -> None:
    text = SCHEMA.replace("visit_day]}]", "visit_day], optional_slots: {seating: dontcare}}]")
    text = text.replace(
        "dialogues:", "  actions: [{name: book, required_slots: [visit_day]}]\ndialogues:"
    )
    text = text.replace(
        "[{user: hello}]",
        "[{user: '[monday](visit_day)', intent: BookTable}, "
        "{system: ok, action: book, parameters: {visit_day: monday}}]",
    )
    path = tmp_path / "calls.yml"
    path.write_text(text, encoding="utf-8")
    told = invoke("import", str(path))
    assert told.code == 0 and "no example call has seating, so calls leave that out" in told.err
    path.write_text(
        text.replace("required_slots: [visit_day]}]\nd", "optional_slots: [seating]}]\nd")
    )
    assert "no example call" not in invoke("import", str(path)).err


def test_yaml_that_nobody_labelled_waits(store: Store, tmp_path: Path) -> None:
    """Learned from, it would teach that nothing is ever wanted."""
    bare = "  - {id: bare, split: held-out, turns: [{user: a table}, {system: which day?}]}\n"
    scope = (
        "  - {id: scope, turns: [{user: a table}, {system: hm}, {user: x, out_of_scope: true}]}\n"
    )
    path = tmp_path / "schema.yml"
    path.write_text(SCHEMA + bare + scope, encoding="utf-8")
    done = invoke("import", path)
    assert done.out.endswith(f"2 wait for labels: rasa-onramp label {DOMAIN}\n")
    assert (ids(store), ids(store, waiting=True)) == (["scope"], ["not imported", "bare"])
    assert invoke("import", "--no-check", path).code == 0
    assert len(ids(store)) == 3


def test_a_call_with_parameters_is_no_label_of_what_users_want() -> None:
    said, given = Turn("user", "a table", State()), {"visit_day": "monday"}
    calls = [Turn("system", "ok", action="book", parameters=row) for row in (given, {})]
    found = [unlabelled(Dialogue("d", DOMAIN, (said, call))) for call in calls]
    assert found == [True, False]


def test_a_dry_run_says_what_would_be_done(store: Store, tmp_path: Path) -> None:
    arguments = ("import", "--schema", tmp_path / "schema.yml", tmp_path / "chats.jsonl")
    before = store.revision()
    done = invoke(*arguments, "--dry-run")
    assert done.out.splitlines() == [
        f"{DOMAIN}: 2 dialogues added, 0 replaced, 0 unchanged",
        f"1 wait for labels: rasa-onramp label {DOMAIN}",
        "nothing was imported: that is what it would do",
    ]
    assert (store.dialogues.domains(), store.revision()) == ((), before)


def test_stories_count_at_once(store: Store, tmp_path: Path) -> None:
    done = invoke(
        *("import", "--schema", tmp_path / "schema.yml"),
        *("--format", "stories", tmp_path / "stories.yml"),
    )
    assert done.code == 0
    assert ids(store) == ["s"]


@pytest.mark.parametrize(("option", "waiting"), [("--check", 2), ("--no-check", 0)])
def test_all_or_none_can_wait(store: Store, tmp_path: Path, option: str, waiting: int) -> None:
    schema, log_file = tmp_path / "schema.yml", tmp_path / "chats.jsonl"
    assert invoke("import", option, "--schema", schema, log_file).code == 0
    assert len(ids(store, waiting=True)) == waiting


def test_yaml_can_wait_too(store: Store, tmp_path: Path) -> None:
    assert invoke("import", "--check", tmp_path / "schema.yml").code == 0
    assert ids(store, waiting=True) == ["not imported"]


def test_labels_outlive_an_import(store: Store, tmp_path: Path) -> None:
    schema, log_file = tmp_path / "schema.yml", tmp_path / "chats.jsonl"
    invoke("import", "--schema", schema, log_file)
    (raw,) = store.dialogues.dialogues(DOMAIN, waiting=True)
    store.labels.save(raw, raw, {0: State()})
    log(tmp_path, [*SAID[:2], {**SAID[0], "text": "friday"}, SAID[2]])
    again = invoke("import", "--schema", schema, log_file)
    assert (
        again.out == f"{DOMAIN}: 0 dialogues added, 0 replaced, 1 unchanged, 1 kept as labelled\n"
    )
    assert ids(store) == ["raw", "given"]
    taken = invoke("import", "--replace-labelled", "--schema", schema, log_file)
    assert "0 dialogues added, 1 replaced, 1 unchanged\n" in taken.out
    assert ids(store, waiting=True) == ["raw"]


def test_bad_requests(store: Store, tmp_path: Path) -> None:
    schema, log_file = tmp_path / "schema.yml", tmp_path / "chats.jsonl"
    for arguments, saying in (
        ([log_file], "says nothing of its domain; name its schema (--schema FILE"),
        (["--schema", schema, "--domain", DOMAIN, log_file], "both --schema and --domain"),
        (["--schema", schema, schema], "yaml brings its own schema"),
        (["--schema", tmp_path / "stories.yml", log_file], "not a file in rasa-onramp's format"),
        (["--domain", DOMAIN, log_file], f"no domain '{DOMAIN}'"),
        (["--skip-bad", "--schema", schema, log_file], "--skip-bad is for tracker stores"),
        (["--schema", schema, "--services", "bus", log_file], "its domain is"),
        (["--schema", schema, "--services", DOMAIN, "sqlite:///x.db"], "a tracker store has one"),
    ):
        done = invoke("import", *arguments)
        assert done.code == 2, done
        assert done.err.count("\n") == 1, done.err
        assert saying in done.err
    assert store.dialogues.domains() == ()
