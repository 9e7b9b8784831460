"""bench/workers.py's counting, without workers; tests/slow runs all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

import workers
from rasa_onramp.dialogue import Corpus
from rasa_onramp.store import Store, open_store
from result_tables import markdown, speed


@pytest.fixture
def corpus(repository: Path) -> Corpus:
    return workers.copies(repository / "dialogue_data", 6)


@pytest.fixture
def store(tmp_path: Path, corpus: Corpus) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus)
        yield store


def _adapt(store: Store, name: str, owner: str = "me") -> None:
    store.jobs.enqueue(name, asked_by="worker")
    lease = store.jobs.claim(owner, domains=[name])
    assert lease is not None
    store.adapters.add(
        name, b"w", support_digest="s", checkpoint_digest="c", figures={}, lease=lease
    )


def test_domains_are_copied_under_names_of_their_own(corpus: Corpus) -> None:
    assert len(corpus.schemas) == 6
    assert list(corpus.schemas)[4].endswith("_0004")
    for name, schema in corpus.schemas.items():
        splits = [d.split for d in corpus.dialogues if d.domain == name == schema.name]
        assert splits == ["support"] * workers.SUPPORT + ["held-out"]


def test_what_each_worker_did_is_counted(store: Store, corpus: Corpus) -> None:
    for number, name in enumerate(corpus.schemas):
        _adapt(store, name, "one" if number % 3 else "two")
    found = workers.adapted(store, list(corpus.schemas))
    assert (found["domains"], found["versions"]) == (6, 6)
    assert found["jobs of each worker"] == [4, 2]
    assert found["seconds"] >= 0


def test_a_domain_that_was_adapted_twice_or_not_at_all_is_found_out(
    store: Store, corpus: Corpus
) -> None:
    names = list(corpus.schemas)
    for name in names[1:]:
        _adapt(store, name)
    with pytest.raises(SystemExit, match=f"{names[0]} has 0 versions"):
        workers.adapted(store, names)
    for _ in range(2):
        _adapt(store, names[0])
    with pytest.raises(SystemExit, match=f"{names[0]} has 2 versions"):
        workers.adapted(store, names)


def test_the_table_sets_the_runs_side_by_side() -> None:
    run = {"workers": 1, "domains": 6, "versions": 6, "seconds": 9.0, "jobs of each worker": [6]}
    both = {**run, "workers": 2, "seconds": 5.0, "jobs of each worker": [4, 2]}
    assert markdown(speed.workers([{"runs": [run, both]}])).splitlines()[2:4] == [
        "| 1 | 6 of 6, each once | 6 | 9.0 s | 1.00 |",
        "| 2 | 6 of 6, each once | 4 + 2 | 5.0 s | 1.80 |",
    ]
