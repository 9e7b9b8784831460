"""`feedback`: thumbs and corrections from the command line, and what `adapt` makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest

from command_line import dump, invoke
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import save_tracker
from small_bot import TABLES, corpus_of, small_tracker
from tiny_tracker import tokenizer_json

NAME = TABLES.name


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(small_tracker(), folder, tokenizer_json())
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a domain; its file."""
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "home"))
    assert invoke("init").code == 0
    with open_store() as opened:
        opened.dialogues.import_corpus(corpus_of(TABLES))
    return tmp_path / "home" / "onramp.db"


def test_a_correction_with_its_conversation_is_learned(store: Path, checkpoint: Path) -> None:
    adapt = ("adapt", NAME, "--no-replies", "--steps", "1", "--checkpoint", checkpoint)
    assert "version 1 from 5 support dialogues" in invoke(*adapt).out
    assert "up to date" in invoke(*adapt).out
    said = ("can i book a table on friday", "Under which name?", "it is hana")
    done = invoke(
        *("feedback", "add", NAME, "--reply", "Friday it is, hana.", "--down"),
        *(option for text in said for option in ("--said", text)),
        *("--corrected-reply", "Whose table on friday?", "--set", "guest_name="),
        *("--set", "visit_day=saturday", "--conversation", "ann", "--checkpoint", checkpoint),
    )
    assert (done.code, done.err) == (0, "")
    with open_store() as opened:
        (found,) = opened.feedback.list(NAME)
        support = opened.support(NAME)
    assert done.out.startswith(f"{NAME}: feedback {found.id} stored; ")
    assert tuple(turn.text for turn in found.history) == said
    tracked = [turn.state.values for turn in found.history if turn.state is not None]
    assert tracked == [
        {"visit_day": ("friday",)},
        {"visit_day": ("friday",), "guest_name": ("hana",)},
    ]
    assert found.corrected_state is not None
    assert found.corrected_state.values == {"visit_day": ("saturday",)}
    assert found.template == "{visit_day} it is, {guest_name}."
    assert support.blocked == ("Friday it is, hana.", "{visit_day} it is, {guest_name}.")
    assert support.dialogues[-1].turns[-1].text == "Whose table on friday?"
    assert "support or feedback changed" in invoke("domains").out
    assert "version 2 from 6 support dialogues" in invoke(*adapt).out
    assert "feedback changed" not in invoke("domains").out


def test_no_states_are_guessed_that_the_bot_would_not_track(store: Path, checkpoint: Path) -> None:
    adapt = ("adapt", NAME, "--no-replies", "--steps", "1", "--checkpoint", checkpoint)
    assert invoke(*adapt).code == 0
    with open_store() as opened, opened._database.writing() as connection:
        connection.exec_driver_sql("UPDATE adapters SET checkpoint_digest = 'another'")
    add = ("feedback", "add", NAME, "--checkpoint", checkpoint, "--reply", "No.", "--said", "hello")
    done = invoke(*add, "--corrected-reply", "Yes.")
    assert done.code == 2 and "adapter 1 is for another checkpoint" in done.err
    with open_store() as opened:
        assert opened.feedback.list(NAME) == ()


def test_the_list_says_all_that_was_said(store: Path, checkpoint: Path) -> None:
    assert invoke("feedback", "list", NAME).out == f"no feedback on {NAME} yet\n"
    add = ("feedback", "add", NAME, "--checkpoint", checkpoint)
    assert invoke(*add, "--reply", "Hm.", "--up").code == 0
    corrects = ("--reply", "No.", "--said", "hello", "--corrected-reply", "Yes.")
    assert invoke(*add, *corrects, "--intent", "book_table", "--conversation", "bo").code == 0
    first, bot, second, *rest = invoke("feedback", "list", NAME).out.splitlines()
    assert first.endswith("  up")
    assert bot == "    bot:       Hm."
    assert second.endswith("  no thumb  bo")
    assert rest[:3] == [
        "    user:      hello",
        "    bot:       No.",
        "    should be: Yes.",
    ]
    assert rest[3].startswith("    state:     book_table; ")
    assert invoke(*add, *corrects, "--intent", "none", "--conversation", "bo").code == 0
    with open_store() as opened:
        corrected = opened.feedback.list(NAME)[-1].corrected_state
    assert corrected is not None and corrected.active_intent is None
    ids = [first.split()[0], second.split()[0]]
    assert invoke("feedback", "remove", NAME, *ids).code == 0
    assert invoke("feedback", "list", NAME).out == f"no feedback on {NAME} yet\n"


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (["add", NAME], "--reply"),
        (["add", NAME, "--reply", "x"], "says nothing; give a thumb"),
        (["add", "zzz", "--reply", "x", "--up"], "no domain 'zzz'"),
        (["add", NAME, "--reply", " ", "--up"], "empty reply"),
        (["add", NAME, "--reply", "x", "--corrected-reply", "y"], "give --said"),
        (["add", NAME, "--reply", "x", "--set", "visit_day=friday"], "give --said"),
        (["add", NAME, "--reply", "x", "--set", "visit_day"], "write SLOT=VALUE"),
        (["add", NAME, "--reply", "x", "--up", "--said", " "], "--said without words"),
        (["list", "zzz"], "no domain 'zzz'"),
        (["remove", NAME, "0123"], "no feedback '0123'"),
        (["remove", NAME], "IDS"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    store: Path, arguments: List[Any], saying: str
) -> None:
    before = dump(store)
    done = invoke("feedback", *arguments)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert saying in done.err
    assert dump(store) == before


@pytest.mark.parametrize(
    ("setting", "saying"),
    [("colour=red", "slot 'colour'; it may have"), ("table_code=t1", "slot 'table_code'; it may")],
)
def test_a_state_that_the_schema_does_not_have(
    store: Path, checkpoint: Path, setting: str, saying: str
) -> None:
    before = dump(store)
    done = invoke(
        *("feedback", "add", NAME, "--reply", "x", "--said", "y", "--set", setting),
        *("--checkpoint", checkpoint),
    )
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert saying in done.err
    assert dump(store) == before
