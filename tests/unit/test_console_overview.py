"""The console's list of domains: always the store's, and read again only where that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest

from rasa_onramp.console.overview import Overview
from rasa_onramp.dialogue import Corpus, Turn
from rasa_onramp.store import Feedback, Store, open_store
from small_bot import BIKES, TABLES, corpus_of, dialogues


def new_store() -> Store:
    store = open_store("sqlite://")
    store.upgrade()
    store.dialogues.import_corpus(corpus_of(TABLES))
    return store


def test_only_what_changed_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with new_store() as store:
        overview, asked, summary = Overview(), [], store.dialogues.summary

        def noted(*names: Any) -> Any:
            asked.append(names)
            return summary(*names)

        monkeypatch.setattr(store.dialogues, "summary", noted)

        def read_after(change: Any) -> List[Any]:
            """What was read for the list after a change."""
            change()
            del asked[:]
            found, read = overview.read(store), list(asked)
            assert found == list(summary())
            assert overview.read(store) == found and asked == read
            return read

        assert read_after(lambda: None) == [()]
        bikes = Corpus({BIKES.name: BIKES}, dialogues(BIKES, 2))
        assert read_after(lambda: store.dialogues.import_corpus(bikes)) == [((BIKES.name,),)]
        weights = {"support_digest": "x", "checkpoint_digest": "y", "figures": {}}
        add = store.adapters.add
        assert read_after(lambda: add(TABLES.name, b"w", **weights)) == [((TABLES.name,),)]
        said = Feedback(TABLES.name, Turn("system", "No."), thumb="down")
        assert read_after(lambda: store.feedback.add(said)) == [((TABLES.name,),)]
        assert read_after(lambda: store.dialogues.delete_domain(BIKES.name)) == [((BIKES.name,),)]


def test_a_store_made_anew_is_read_anew(tmp_path: Path) -> None:
    """Also where as much was imported into it as into the one before."""
    overview, file = Overview(), tmp_path / "onramp.db"
    with open_store(f"sqlite:///{file}") as store:
        for schema in (TABLES, BIKES):
            file.unlink(missing_ok=True)
            store.upgrade()
            store.dialogues.import_corpus(Corpus({schema.name: schema}, dialogues(schema, 2)))
            assert [each.name for each in overview.read(store)] == [schema.name]


def test_another_store_is_read_anew() -> None:
    overview = Overview()
    for count in (1, 3, 1):
        with new_store() as store:
            store.dialogues.import_corpus(Corpus({TABLES.name: TABLES}, dialogues(TABLES, count)))
            assert overview.read(store) == list(store.dialogues.summary())
