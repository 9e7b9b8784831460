"""What the README, the docs and the console page give as examples works as it stands there."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from command_line import dump
from needed import lacking
from rasa_onramp.advice import advice
from rasa_onramp.dialogue import State, Turn, unlabelled
from rasa_onramp.formats import read
from rasa_onramp.store import Feedback, open_store
from tiny_tracker import corpus

#: Where a dialogue file is given as an example, and what stands around it.
FILES = {
    "README.md": r"## A domain is one file\s+```yaml\n(.*?)```",
    "plugin/rasa_onramp/console/page/onboard.js": r"const EXAMPLE = `(.*?)`;",
}


@pytest.mark.parametrize("page", FILES)
def test_a_file_is_imported(repository: Path, tmp_path: Path, page: str) -> None:
    found = re.search(FILES[page], (repository / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    path = tmp_path / "parcels.yml"
    path.write_text(found[1], encoding="utf-8")
    given = read(path)
    assert list(advice(given, unlabelled)) == []
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        assert store.dialogues.import_corpus(given).added == 1


def test_a_store_is_backed_up_and_restored(repository: Path, tmp_path: Path) -> None:
    if shutil.which("sqlite3") is None:
        lacking("no sqlite3 here; .ci/run installs it")
    page = (repository / "docs" / "operations.md").read_text(encoding="utf-8")

    def run(command: str) -> None:
        (line,) = re.findall(rf"^sqlite3 onramp\.db \"\.{command} .*$", page, re.MULTILINE)
        subprocess.run(["sh", "-e", "-c", line], cwd=tmp_path, check=True)

    path = tmp_path / "onramp.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(services=2, dialogues=2))
        with closing(sqlite3.connect(path)) as bot:  # while it runs, so does the log
            bot.execute("SELECT * FROM dialogues").fetchall()
            store.dialogues.delete_domain("TableBooking_2")
            assert path.with_name("onramp.db-wal").stat().st_size > 0  # which a copy would lack
            run("backup")
        kept = dump(path)
        store.dialogues.delete_domain("TableBooking_1")
    assert dump(path) != kept
    run("restore")
    assert dump(path) == kept
    with open_store(f"sqlite:///{path}") as store:
        assert store.dialogues.domains() == ("TableBooking_1",)


def test_a_person_is_found_wherever_they_stand(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    in_turns, in_feedback = re.findall(r'"(SELECT[^"]*%jane doe%[^"]*)"', page)
    path = tmp_path / "onramp.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(services=1, dialogues=5))
        (domain,) = store.dialogues.domains()
        names = [dialogue.id for dialogue in store.dialogues.dialogues(domain)]
        said = (Turn("user", "I'm Jane Doe", State()), Turn("system", "Hello"))
        heard = [
            store.feedback.add(Feedback(domain, said[1], said[:1], conversation="ann", thumb="up")),
            store.feedback.add(Feedback(domain, Turn("system", "Hi Jane Doe"), thumb="up")),
        ]
        store.feedback.add(Feedback(domain, said[1], conversation="bo", thumb="up"))
    with closing(sqlite3.connect(path)) as person:
        for name, column in zip(names, ("text", "state", "parameters", "results")):
            person.execute(
                f"UPDATE turns SET {column} = ? WHERE dialogue = ? AND position = 0",
                ('{"name": "JANE Doe"}', name),
            )
        assert {row[1] for row in person.execute(in_turns)} == set(names[:4])
        assert {row[1] for row in person.execute(in_feedback)} == set(heard)
