"""Celery's tasks in this process, without a broker."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any, List

import pytest

pytest.importorskip("celery", reason="no Celery: it comes with the extra fleet")

from rasa_onramp.fleet import tasks
from rasa_onramp.onboarding import Watch
from rasa_onramp.store import Store, open_store
from tiny_tracker import corpus, tiny_tracker

NAME = "TableBooking_1"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the tasks work with, with a tracker too small to be good."""
    tracker = dataclasses.replace(tiny_tracker(rank=2, steps=2), digest="tiny")
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(services=1, dialogues=2))
        tools = tasks._Tools(store, tracker, None, Watch(store, tracker))
        monkeypatch.setattr(tasks, "_tools", lambda: tools)
        yield store


def test_an_outage_is_no_attempt(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, away = tmp_path / "onramp.db", tmp_path / "away.db"
    add, outages = store.adapters.add, [threading.Timer(0.3, away.rename, [home])]

    def cut(*given: Any, **more: Any) -> int:
        if outages:
            home.rename(away)
            outages.pop().start()
        return add(*given, **more)

    monkeypatch.setattr(store.adapters, "add", cut)
    store.jobs.enqueue(NAME, asked_by="person")
    found: List[Any] = [tasks.adapt(NAME)]
    (job,) = store.jobs.of(NAME)
    assert (found[0]["state"], job.state, job.attempts) == ("given back", "queued", 0)
    found += [tasks.adapt(NAME), tasks.adapt(NAME)]
    assert (found[1]["state"], found[1]["attempt"], found[2]) == ("done", 1, None)
