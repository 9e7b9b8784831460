"""`worker`, `jobs`, and `adapt` beside them, with a tracker too small to be good at it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Iterator, List, Mapping

import pytest

from changed_jobs import lapse
from command_line import invoke
from rasa_onramp.store import Store, open_store
from rasa_onramp.tracker.checkpoint import save_tracker
from servers import free_port
from tiny_tracker import corpus, tiny_tracker, tokenizer_json

ONE, TWO = "TableBooking_1", "TableBooking_2"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(rank=2, steps=2), folder, tokenizer_json())
    return folder


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store() as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(services=2, dialogues=2))
        yield store


def test_a_worker_prints_a_line_an_attempt(store: Store, checkpoint: Path) -> None:
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    worker = ("worker", "--once", "--no-replies", "--checkpoint", checkpoint)
    done = invoke(*worker, "--domains", f"{TWO}, {ONE}")
    assert (done.code, done.err) == (0, "")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["started", "job", "job", "stopped"]
    assert {event["worker"] for event in events} == {events[0]["worker"]}
    assert [(e["domain"], e["state"], e["version"]) for e in events[1:3]] == [
        (ONE, "done", 1),
        (TWO, "done", 1),
    ]
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_a_worker_keeps_as_many_versions_as_it_is_told(store: Store, checkpoint: Path) -> None:
    worker = ("worker", "--once", "--no-replies", "--checkpoint", checkpoint, "--domains", ONE)
    for keep, deleted in (((), []), ((), []), (("--keep", "1"), [1, 2])):
        store.jobs.enqueue(ONE, asked_by="person", force=True)
        done = invoke(*worker, *keep)
        assert json.loads(done.out.splitlines()[1])["deleted"] == deleted
    assert [info.version for info in store.adapters.versions(ONE)] == [3]


def test_the_exit_code_says_whether_any_failed(store: Store, tmp_path: Path) -> None:
    save_tracker(tiny_tracker(rank=2), tmp_path / "untrained", tokenizer_json())
    worker = ("worker", "--once", "--no-replies", "--checkpoint", tmp_path / "untrained")
    done = invoke(*worker)
    assert done.code == 1
    assert '"state": "failed"' in done.out
    listed = invoke("jobs", "list").out
    assert listed.count("this tracker was never meta-trained") == 2
    assert (
        invoke("worker", "--once", "--no-replies", "--checkpoint", tmp_path / "untrained").code == 0
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--domains", " ,"], "names of domains, separated by commas"),
        (["--domains", "TableBooking_3"], "did you mean 'TableBooking_"),
        (["--poll", "0"], "0.0 is not in the range"),
        (["--lease", "0.5"], "0.5 is not in the range"),
        (["--keep", "0"], "0 is not in the range"),
    ],
)
def test_wrong_options_are_said_before_any_work(store: Store, options: list, said: str) -> None:
    done = invoke("worker", "--once", *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_store_that_is_not_there_is_said(checkpoint: Path) -> None:
    for command in (("worker", "--checkpoint", checkpoint), ("jobs", "list")):
        done = invoke(*command)
        assert (done.code, done.out) == (2, "")
        assert "hasn't been created yet" in done.err


def test_a_server_that_is_not_up_yet_is_waited_for(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "RASA_ONRAMP_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    )
    events = []

    def heard(event: Mapping[str, Any]) -> None:
        events.append(event["event"])
        if event["event"] == "store away":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("rasa_onramp.cli.worker._print", heard)
    worker = ("worker", "--no-replies", "--checkpoint", checkpoint, "--domains", ONE)
    assert invoke(*worker).code == 0
    assert events == ["started", "store away", "stopped"]
    done = invoke(*worker, "--once")
    assert done.code == 2 and "can't be reached" in done.err


def test_a_second_signal_ends_it_on_the_spot(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> None:
        raise SystemExit(77)  # as the signal itself would end the process

    def heard(event: Mapping[str, Any]) -> None:
        if event["event"] == "store away":
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) is ended
            os.kill(os.getpid(), signal.SIGTERM)
        events.append(event["event"])

    events: List[str] = []
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", url)
    monkeypatch.setattr("rasa_onramp.cli.worker._print", heard)
    before = signal.signal(signal.SIGTERM, ended)
    try:
        assert invoke("worker", "--no-replies", "--checkpoint", checkpoint).code == 77
    finally:
        signal.signal(signal.SIGTERM, before)
    assert events == ["started"]


def test_jobs_are_asked_for_listed_and_cancelled(store: Store, checkpoint: Path) -> None:
    assert invoke("jobs", "list").out == (
        "no jobs yet; rasa-onramp worker makes them, and rasa-onramp jobs add\n"
    )
    added = invoke("jobs", "add", ONE, TWO, "--steps", "1", "--force", "--switch-anyway")
    assert added.out.splitlines() == [f"{name}: job 1 is queued" for name in (ONE, TWO)]
    (job,) = store.jobs.of(ONE)
    assert (job.inner_steps, job.force, job.switch_anyway) == (1, True, True)
    lease = store.jobs.claim("host:7")
    assert lease is not None
    store.jobs.beat(lease, step=3, total=8, loss=0.5)
    assert "step 3 of 8, loss 0.50" in invoke("jobs", "list", ONE).out
    assert "is running by host:7, and is left alone" in invoke("jobs", "add", ONE).out
    lapse_all(store)
    assert "lapsed" in invoke("jobs", "list").out
    assert invoke("jobs", "cancel", ONE).out == f"{ONE}: job 1 is cancelled\n"
    refused = invoke("jobs", "cancel", ONE)
    assert refused.code == 2 and "has no unfinished job" in refused.err
    worker = ("worker", "--once", "--no-replies", "--checkpoint", checkpoint)
    assert invoke(*worker, "--domains", TWO).code == 0
    assert "version 1 from 2 support dialogues in " in invoke("jobs", "list", TWO).out
    assert invoke("jobs", "add", ONE).out == f"{ONE}: job 2 is queued\n"
    lines = invoke("jobs", "list", ONE).out.splitlines()
    assert [line.split()[1:3] for line in lines[2:]] == [["2", "queued"], ["1", "failed"]]


def test_adapt_leaves_a_domain_to_who_is_at_it(store: Store, checkpoint: Path) -> None:
    store.jobs.enqueue(ONE, asked_by="person")
    assert store.jobs.claim("host:7") is not None
    adapt = ("adapt", "--all", "--no-replies", "--checkpoint", checkpoint)
    done = invoke(*adapt)
    assert done.code == 1
    assert done.err.startswith(f"rasa-onramp: domain {ONE!r} is being adapted by host:7 (last ")
    assert done.out.startswith(f"{TWO}: version 1 from 2 support dialogues")
    lapse(store)
    done = invoke(*adapt)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1].startswith(f"{ONE}: version 1 from 2 support dialogues")


def lapse_all(store: Store) -> None:
    """As `lapse`, of whatever runs."""
    with store._database.marking() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET lease_until = '2020-01-01 00:00:00.000000' WHERE state = 'running'"
        )
