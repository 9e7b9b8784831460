"""Celery's tasks in this process, without a broker."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List

import pytest

pytest.importorskip("celery", reason="no Celery: it comes with the extra fleet")

from rasa_onramp.errors import CheckpointError, ConfigError, StoreUnavailable
from rasa_onramp.fleet import tasks
from rasa_onramp.onboarding import Watch
from rasa_onramp.store import LEASE_SECONDS, Store, open_store
from rasa_onramp.tracker.checkpoint import save_tracker
from tiny_tracker import corpus, tiny_tracker, tokenizer_json

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


def test_a_store_that_stays_away_is_waited_for_as_long_as_a_lease(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now = [], [0.0]

    def away(*_: Any, **__: Any) -> None:
        asked.append(now[0])
        raise StoreUnavailable("the store can't be reached")

    monkeypatch.setattr(store.adapters, "add", away)
    monkeypatch.setattr(store.jobs, "release", away)
    monkeypatch.setattr(store, "revision", away)
    clock = SimpleNamespace(
        monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + 30 * seconds)
    )
    monkeypatch.setattr(tasks, "time", clock)
    store.jobs.enqueue(NAME, asked_by="person")
    with pytest.raises(StoreUnavailable):
        tasks.adapt(NAME)
    assert asked[-1] > LEASE_SECONDS and len(asked) > 2


def test_as_many_versions_stay_as_are_to_be_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = dataclasses.replace(tasks._tools(), keep=1)
    monkeypatch.setattr(tasks, "_tools", lambda: tools)
    for _ in range(2):
        store.jobs.enqueue(NAME, asked_by="person", force=True)
        tasks.adapt(NAME)
    assert [info.version for info in store.adapters.versions(NAME)] == [2]


@pytest.mark.parametrize("variable", ["RASA_ONRAMP_THREADS", "RASA_ONRAMP_KEEP"])
@pytest.mark.parametrize("said", ["0", "two", "-1", ""])
def test_numbers_that_cannot_be_are_refused(
    variable: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, said)
    with pytest.raises(ConfigError, match=f"{variable} is {said!r}; set it to a whole number"):
        tasks._tools.__wrapped__()


def test_tools_are_of_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tracker(tiny_tracker(rank=2, steps=2), tmp_path / "tracker", tokenizer_json())
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", f"sqlite:///{tmp_path / 'onramp.db'}")
    monkeypatch.setenv("RASA_ONRAMP_CHECKPOINT", str(tmp_path / "tracker"))
    monkeypatch.setenv("RASA_ONRAMP_REPLY_CHECKPOINT", "none")
    monkeypatch.setenv("RASA_ONRAMP_DEVICE", "meta")
    monkeypatch.setenv("RASA_ONRAMP_KEEP", "3")
    tools = tasks._tools.__wrapped__()
    assert tools.tracker.device.type == "meta" and tools.replies is None
    assert tools.keep == 3


def test_a_named_reply_checkpoint_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RASA_ONRAMP_REPLY_CHECKPOINT", str(tmp_path / "typo"))
    with pytest.raises(CheckpointError, match="typo"):
        tasks._learner("cpu")
    # the one that ships is left out where its language model isn't here, as on the command line
    monkeypatch.delenv("RASA_ONRAMP_REPLY_CHECKPOINT")
    monkeypatch.setattr("rasa_onramp.generator.checkpoint.SHIPPED_REPLIES", tmp_path / "none")
    assert tasks._learner("cpu") is None
