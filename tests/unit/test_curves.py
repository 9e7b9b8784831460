"""Few-shot curves of a store's domains: measured, stored as they grow, and shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from command_line import invoke
from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError, NotFound, StoreBusy
from rasa_onramp.evaluation import curves
from rasa_onramp.evaluation.curves import measure_curve, shots_of
from rasa_onramp.store import Curve, Store, open_store
from small_bot import TABLES, dialogues, save_small_tracker, small_tracker

NAME = TABLES.name


@pytest.fixture
def store() -> Iterator[Store]:
    assert invoke("init").code == 0
    found = dialogues(TABLES, 5)
    held_out = tuple(dataclasses.replace(each, split="held-out") for each in found[3:])
    with open_store() as opened:
        opened.dialogues.import_corpus(Corpus({NAME: TABLES}, (*found[:3], *held_out)))
        yield opened


@pytest.mark.parametrize(
    ("support", "shots"), [(0, (0,)), (1, (0, 1)), (5, (0, 1, 2, 5)), (7, (0, 1, 2, 5, 7))]
)
def test_what_is_measured(support: int, shots: object) -> None:
    assert shots_of(support) == shots


def test_a_curve_is_stored_as_it_grows_and_makes_no_version(store: Store) -> None:
    tracker, grown = dataclasses.replace(small_tracker(), digest="small"), []
    revision = store.revision()

    def keep(curve: Curve) -> None:
        stored = store.curves.get(NAME)
        assert stored is not None
        grown.append([point["shots"] for point in stored.points])

    assert store.curves.get(NAME) is None
    curve = measure_curve(store, tracker, NAME, shots=[2, 0], after_each=keep)
    assert grown == [[0], [0, 2]]
    stored = store.curves.get(NAME)
    assert stored is not None
    assert dataclasses.replace(stored, measured_at=None) == curve
    assert (curve.wanted, curve.complete, curve.held_out) == ((0, 2), True, 2)
    assert curve.support_digest == store.support(NAME).digest
    assert [point["seconds"] > 0 for point in curve.points] == [False, True]
    jga: List[float] = [point["jga"] for point in curve.points]
    assert jga[0] == 1.0  # the small tracker knows the domain
    assert (store.adapters.versions(NAME), store.revision()) == ((), revision)

    again = measure_curve(store, tracker, NAME, shots=[0])
    stored = store.curves.get(NAME)
    assert stored is not None
    assert stored.points == again.points


def test_a_curve_waits_while_another_process_is_writing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, tries = store.curves.save, []

    def busy(curve: Curve) -> None:
        tries.append(len(curve.points))
        if len(tries) < 3:
            raise StoreBusy("another process has been writing; try again when it is done")
        save(curve)

    monkeypatch.setattr(store.curves, "save", busy)
    measure_curve(store, dataclasses.replace(small_tracker(), digest="small"), NAME, shots=[0, 1])
    assert tries == [1, 1, 1, 2]
    stored = store.curves.get(NAME)
    assert stored is not None and stored.complete


def test_a_curve_stays_until_there_is_another(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = dataclasses.replace(small_tracker(), digest="small")
    measure_curve(store, tracker, NAME, shots=[0])
    before = store.curves.get(NAME)

    def fails(*_: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(curves, "measure", fails)
    with pytest.raises(RuntimeError):
        measure_curve(store, tracker, NAME, shots=[0, 1])
    assert store.curves.get(NAME) == before


def test_what_cannot_be_measured(store: Store) -> None:
    tracker = small_tracker()
    with pytest.raises(ConfigError, match="has 3 support dialogues, not 4; ask for fewer"):
        measure_curve(store, tracker, NAME, shots=[4])
    with pytest.raises(NotFound):
        measure_curve(store, tracker, "nowhere")
    with pytest.raises(NotFound):
        store.curves.get("nowhere")
    store.dialogues.delete_domain(NAME)
    store.dialogues.import_corpus(Corpus({NAME: TABLES}, dialogues(TABLES, 2)))
    with pytest.raises(ConfigError, match="no held-out dialogues"):
        measure_curve(store, tracker, NAME)
    assert store.curves.get(NAME) is None


def test_the_command_prints_it(store: Store, tmp_path: Path) -> None:
    save_small_tracker(tmp_path / "tracker")
    options = ("--checkpoint", tmp_path / "tracker", "--shots", "0,1", "--limit", "1")
    done = invoke("curve", NAME, *options)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["support", "dialogues", "JGA", "goal", "seconds"]
    assert [line.split()[:2] for line in lines[2:4]] == [["0", "1.000"], ["1", "1.000"]]
    assert lines[4] == f"on 1 held-out dialogues of {NAME}"
    assert invoke("curve", "nowhere").code == 2
