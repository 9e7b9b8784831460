"""Asking a store that may not answer: who waits, who doesn't, and how it comes back."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from pathlib import Path
from typing import Iterator

import pytest

from rasa_onramp.errors import CheckpointError, StoreUnavailable
from rasa_onramp.runtime import reach as reach_module
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.store import Store, open_store
from servers import wait_for


def revision(store: Store) -> int:
    return store.revision()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        yield store


def _is_up(reach: Reach, store: Store) -> bool:
    try:
        return reach.ask(revision) == store.revision()
    except StoreUnavailable:
        return False


def test_what_is_asked_comes_back_answer_or_error(store: Store) -> None:
    store.upgrade()
    reach = Reach(store, 5.0, 0.1)
    assert reach.ask(revision) == store.revision()

    def damaged(store: Store) -> None:
        raise CheckpointError("damaged")

    with pytest.raises(CheckpointError, match="damaged"):
        reach.ask(damaged)
    assert reach.ask(lambda store: 3) == 3  # the store is up all the same


def test_a_store_that_refuses_is_not_asked_until_it_is_back(store: Store) -> None:
    reach = Reach(store, 5.0, 1000.0)
    with pytest.raises(StoreUnavailable, match="hasn't been created"):
        reach.ask(revision)
    store.upgrade()
    asked = []
    with pytest.raises(StoreUnavailable, match="hasn't been created"):  # nobody is asked so soon
        reach.ask(lambda store: asked.append(1))
    assert asked == []
    assert reach._is_back()  # as the thread that looks for it would find
    assert reach.ask(revision) == store.revision()


def test_a_store_is_looked_for_until_it_is_back(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    reach = Reach(store, 5.0, 0.1)
    with caplog.at_level(logging.WARNING):
        with pytest.raises(StoreUnavailable, match="hasn't been created"):
            reach.ask(revision)
        store.upgrade()
        wait_for(lambda: _is_up(reach, store))
    assert caplog.text.count("is reachable again") == 1


def test_what_is_slow_and_not_vital_takes_the_store_from_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upgrade()
    monkeypatch.setattr(Store, "remote", True)  # as one on a server, which may say nothing
    reach, thawed = Reach(store, 2.0, 1000.0), threading.Event()

    def slow(_: Store) -> int:
        thawed.wait(60)
        return 0

    with pytest.raises(StoreUnavailable, match=r"hasn't answered for 2(\.0)? s"):
        reach.ask(slow, vital=False)
    assert not reach.down and reach.ask(revision) == store.revision()
    monkeypatch.setattr(store, "revision", lambda: slow(store))  # frozen
    with pytest.raises(StoreUnavailable, match=r"hasn't answered for 2(\.0)? s"):
        reach.ask(slow, vital=False)
    assert reach.down
    thawed.set()


def test_where_nobody_can_look_for_it_the_store_is_asked_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = Reach(store, 5.0, 0.1)
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread._target is reach_module._look_for:  # type: ignore[attr-defined]
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="new thread"):
        reach.ask(revision)
    store.upgrade()
    assert reach.ask(revision) == store.revision()


def test_an_outage_keeps_nothing_of_what_was_asked_in_it(store: Store) -> None:
    reach = Reach(store, 5.0, 1000.0)

    class Message:
        pass

    def ask() -> weakref.ref:
        message = Message()
        with pytest.raises(StoreUnavailable):
            reach.ask(revision)
        return weakref.ref(message)

    kept = [ask() for _ in range(3)]
    gc.collect()
    assert [message() for message in kept] == [None] * 3


def test_nobody_looks_for_a_store_that_nobody_asks_any_more(store: Store) -> None:
    reach = Reach(store, 5.0, 0.1)
    before = threading.active_count()
    with pytest.raises(StoreUnavailable):
        reach.ask(revision)
    wait_for(lambda: threading.active_count() == before + 1)
    del reach
    gc.collect()
    wait_for(lambda: threading.active_count() == before)
