"""Real workers, as processes of their own, on one PostgreSQL server."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Iterator

import pytest

pytest.register_assert_rewrite("worker_processes")

from postgres import PostgresServer  # noqa: E402
from rasa_onramp.store import Store, open_store  # noqa: E402
from servers import wait_for  # noqa: E402
from worker_processes import (  # noqa: E402
    assert_adapted_once,
    domains,
    newest,
    running,
    tiny_checkpoint,
)

pytestmark = pytest.mark.timeout(900)  # several waits each

NAME = "TableBooking_1"
#: More than are done before a test ends them. What each reads is drawn before the first.
MANY = 1000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("tracker"))


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    with open_store(postgres_url) as store:
        store.upgrade()
        yield store


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def test_two_workers_adapt_each_of_many_domains_once_though_the_server_restarts(
    store: Store,
    postgres_url: str,
    postgres_server: PostgresServer,
    checkpoint: Path,
    logs: Path,
) -> None:
    options = ("worker", "--no-replies", "--poll", "0.1", "--checkpoint", checkpoint)
    given = domains(12)
    names = list(given.schemas)
    with running(postgres_url, logs, *options) as one, running(postgres_url, logs, *options) as two:
        workers = (one, two)
        wait_for(lambda: all("started" in worker.said() for worker in workers))
        postgres_server.stop()
        try:
            wait_for(lambda: all("store away" in worker.said() for worker in workers))
        finally:
            postgres_server.start()
        wait_for(lambda: all("store back" in worker.said() for worker in workers))
        store.dialogues.import_corpus(given)
        wait_for(lambda: _done(store) == len(names))
        for worker in workers:
            worker.signal(signal.SIGTERM)
        assert [worker.end() for worker in workers] == [0, 0]
        assert_adapted_once(store, names)
        shares = [worker.jobs() for worker in workers]
        assert sorted(job["domain"] for share in shares for job in share) == sorted(names)
        assert all(len(share) > 1 for share in shares)  # neither slept
        assert {job["state"] for share in shares for job in share} == {"done"}


def test_the_job_of_a_killed_worker_is_taken_over_and_that_of_a_stopped_one_given_back(
    store: Store, postgres_url: str, checkpoint: Path, logs: Path
) -> None:
    store.dialogues.import_corpus(domains(1))
    options = ("worker", "--no-replies", "--poll", "0.1", "--lease", "4")
    options = (*options, "--domains", NAME, "--checkpoint", checkpoint)
    with running(postgres_url, logs, *options) as one, running(postgres_url, logs, *options) as two:
        wait_for(lambda: all("started" in each.said() for each in (one, two)))
        wait_for(lambda: _done(store) == 1)  # what they found by themselves
        store.jobs.enqueue(NAME, asked_by="person", inner_steps=MANY)
        wait_for(lambda: bool(newest(store, NAME).step))
        lost = newest(store, NAME)
        assert (lost.number, lost.state, lost.attempts) == (2, "running", 1)
        first, second = (one, two) if lost.owner == one.events()[0]["worker"] else (two, one)
        first.kill()
        wait_for(lambda: newest(store, NAME).owner != lost.owner)
        wait_for(lambda: bool(newest(store, NAME).step))
        taken = newest(store, NAME)
        assert (taken.number, taken.state, taken.attempts) == (2, "running", 2)
        second.signal(signal.SIGTERM)
        assert second.end() == 0
        assert second.jobs()[-1]["state"] == "given back"
    back = newest(store, NAME)
    assert (back.state, back.attempts, back.owner) == ("queued", 1, None)
    assert [info.version for info in store.adapters.versions(NAME)] == [1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_adapting_by_hand_that_is_interrupted_leaves_no_lease(
    store: Store, postgres_url: str, checkpoint: Path, logs: Path, number: int
) -> None:
    """In several processes: their parent ends them, and nothing has to lapse, for a worker to carry
    out what was to be stopped.
    """
    given = domains(3)
    store.dialogues.import_corpus(given)
    adapt = ("adapt", "--all", "--jobs", "2", "--no-replies", "--checkpoint", checkpoint)
    with running(postgres_url, logs, *adapt, "--steps", MANY) as by_hand:
        wait_for(lambda: _stepping(store) == 2)
        if number == signal.SIGHUP:  # a terminal that is closed sends it to all of them
            os.killpg(by_hand.process.pid, number)
        else:
            by_hand.signal(number)
        assert by_hand.end() == 130
        assert "rasa-onramp: interrupted" in by_hand.said()
    assert [(job.state, job.error) for job in store.jobs.newest()] == [
        ("failed", "interrupted")
    ] * 2
    assert all(store.adapters.versions(name) == () for name in given.schemas)


def _done(store: Store) -> int:
    return sum(job.state == "done" for job in store.jobs.newest())


def _stepping(store: Store) -> int:
    return sum(job.state == "running" and bool(job.step) for job in store.jobs.newest())
