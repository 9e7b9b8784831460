"""A worker in this process, with a tracker too small to be good, on an SQLite file."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from changed_jobs import lapse
from rasa_onramp.dialogue import Corpus, Turn
from rasa_onramp.errors import CheckpointError, LeaseError, StoreBusy, StoreUnavailable
from rasa_onramp.logs import Seldom
from rasa_onramp.onboarding import Watch, Worker, adapt, adapt_at_once, attempt
from rasa_onramp.onboarding.heartbeat import Heartbeat
from rasa_onramp.store import ATTEMPTS, DomainSummary, Feedback, Lease, Store, open_store
from rasa_onramp.tracker.model import StateTracker
from servers import wait_for
from tiny_tracker import booking, corpus, tiny_tracker

ONE, TWO = "TableBooking_1", "TableBooking_2"
Event = Dict[str, Any]


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    return dataclasses.replace(tiny_tracker(rank=2, steps=2), digest="tiny")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(services=2, dialogues=2))
        yield store


def _worker(store: Store, tracker: StateTracker, events: List[Event], **how: Any) -> Worker:
    return Worker(store, tracker, on_event=events.append, poll=0.1, **how)


def _states(store: Store, domain: str = ONE) -> List[str]:
    return [job.state for job in store.jobs.of(domain)]


# What there is to do


def test_a_worker_adapts_what_changed_once(store: Store, tracker: StateTracker) -> None:
    events: List[Event] = []
    worker = _worker(store, tracker, events)
    assert worker.run(once=True) == 0
    done = [event for event in events if event["event"] == "job"]
    assert [(e["domain"], e["state"], e["version"], e["attempt"]) for e in done] == [
        (ONE, "done", 1, 1),
        (TWO, "done", 1, 1),
    ]
    assert done[0]["said"].startswith("from 2 support dialogues in ")
    (job,) = store.jobs.of(ONE)
    assert (job.state, job.version, job.outcome) == ("done", 1, done[0]["said"])
    assert job.step == job.total
    active = store.adapters.active(ONE)
    assert active is not None and active.version == 1

    for again in (worker, _worker(store, tracker, events)):
        assert again.run(once=True) == 0
    assert [_states(store, name) for name in (ONE, TWO)] == [["done"], ["done"]]

    _change(store)
    worker.run(once=True)
    assert [_states(store, name) for name in (ONE, TWO)] == [["done", "done"], ["done"]]
    assert [info.version for info in store.adapters.versions(ONE)] == [1, 2]


def _change(store: Store, name: str = ONE) -> None:
    """One more dialogue in the domain."""
    schemas = {name: store.dialogues.schema(name)}
    store.dialogues.import_corpus(Corpus(schemas, (booking(3, name),)))


def test_a_worker_keeps_to_its_domains(store: Store, tracker: StateTracker) -> None:
    store.jobs.enqueue(ONE, asked_by="person")
    _worker(store, tracker, [], domains=[TWO]).run(once=True)
    assert (_states(store), _states(store, TWO)) == (["queued"], ["done"])


def test_old_versions_go_where_a_new_one_was_made(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: List[Event] = []
    worker = _worker(store, tracker, events, domains=[ONE], keep=2)
    for _ in range(4):
        adapt(store, tracker, ONE)
    store.adapters.pin(ONE, 1)
    store.jobs.enqueue(ONE, asked_by="person")
    worker.run(once=True)  # up to date
    assert (events[1]["version"], list(events[1]["deleted"]), _versions(store)) == (
        4,
        [],
        [1, 2, 3, 4],
    )
    _change(store)
    worker.run(once=True)
    assert (events[4]["version"], list(events[4]["deleted"])) == (5, [2, 3])
    assert _versions(store) == [1, 4, 5]

    def busy(*given: Any, **more: Any) -> None:
        raise StoreBusy("another process is writing")

    monkeypatch.setattr(store.adapters, "collect", busy)
    store.jobs.enqueue(ONE, asked_by="person", force=True)
    assert worker.run(once=True) == 0  # it is done all the same
    assert (_states(store)[0], _versions(store)) == ("done", [1, 4, 5, 6])


def _versions(store: Store) -> List[int]:
    return [info.version for info in store.adapters.versions(ONE)]


def test_what_was_adapted_by_hand_is_left_as_it_is(store: Store, tracker: StateTracker) -> None:
    """With other inner steps than the worker would take, too."""
    for name in (ONE, TWO):
        adapt(store, tracker, name, steps=1)
    _worker(store, tracker, []).run(once=True)
    assert store.jobs.newest() == ()
    other = dataclasses.replace(tracker, digest="another")
    _worker(store, other, []).run(once=True)
    assert [info.checkpoint_digest for info in store.adapters.versions(ONE)] == ["tiny", "another"]


def test_a_row_that_was_edited_by_hand_leaves_nothing_to_do(
    store: Store, tracker: StateTracker
) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE turns SET text = text || '!'")
    _worker(store, tracker, []).run(once=True)
    assert Watch(store, tracker).look() == ()


def test_a_job_is_done_as_it_was_asked_for(store: Store, tracker: StateTracker) -> None:
    adapt(store, tracker, ONE, steps=1)
    for how, versions in (({}, 1), ({"force": True}, 2), ({"inner_steps": 3}, 3)):
        store.jobs.enqueue(ONE, asked_by="person", **{"inner_steps": 1, **how})
        events: List[Event] = []
        _worker(store, tracker, events, domains=[ONE]).run(once=True)
        assert len(store.adapters.versions(ONE)) == versions
    assert store.adapters.info(ONE, 3).figures["steps"] == 3
    first = store.jobs.of(ONE)[-1]
    said = "up to date, nothing changed since version 1 was made"
    assert (first.state, first.outcome, first.version) == ("done", said, None)


def test_an_unchanged_store_is_not_read_anew(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(store, tracker)
    assert watch.look() == (ONE, TWO)
    assert watch.look() == ()  # they are queued
    adapt(store, tracker, ONE)
    adapt(store, tracker, TWO)
    for name in (ONE, TWO):
        store.jobs.cancel(name)
    assert watch.look() == ()
    monkeypatch.setattr(store.dialogues, "summary", pytest.fail)
    assert watch.look() == ()


def test_only_what_changed_or_is_over_is_looked_at(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(store, tracker)
    assert watch.look() == (ONE, TWO)
    lease = store.jobs.claim("other", domains=[TWO])
    assert lease is not None
    store.jobs.fail(lease, "broken")
    asked: List[Optional[List[str]]] = []
    summary = store.dialogues.summary

    def noted(names: Optional[List[str]] = None) -> Tuple[DomainSummary, ...]:
        asked.append(names)
        return summary(names)

    monkeypatch.setattr(store.dialogues, "summary", noted)
    assert (watch.look(), asked.pop()) == ((), [TWO])
    _change(store)
    assert (watch.look(), asked.pop()) == ((), [])  # the one that changed still has its job
    _change(store, TWO)
    assert (watch.look(), asked.pop()) == ((TWO,), [TWO])


def test_what_changes_while_its_job_runs_is_adapted_again(
    store: Store, tracker: StateTracker
) -> None:
    watch = Watch(store, tracker, domains=[ONE])
    assert watch.look() == (ONE,)
    lease = store.jobs.claim("other")
    assert lease is not None
    found = store.support(ONE).digest
    _change(store)
    assert watch.look() == ()
    store.adapters.add(
        ONE, b"w", support_digest=found, checkpoint_digest="tiny", figures={}, lease=lease
    )
    assert watch.look() == (ONE,)


def test_a_domain_that_was_deleted_and_is_back_is_adapted_again(
    store: Store, tracker: StateTracker
) -> None:
    watch = Watch(store, tracker, domains=[ONE])
    adapt(store, tracker, ONE)
    assert watch.look() == ()
    store.dialogues.delete_domain(ONE)
    store.dialogues.import_corpus(corpus(services=2, dialogues=2))
    assert watch.look() == (ONE,)


def test_an_older_copy_of_the_store_is_read_whole(store: Store, tracker: StateTracker) -> None:
    watch = Watch(store, tracker)
    for name in (ONE, TWO):
        adapt(store, tracker, name)
    _change(store)
    assert watch.look() == (ONE,)
    with store._database.writing() as connection:
        for statement in (
            "UPDATE revision SET value = 1",
            "DELETE FROM changes",
            "DELETE FROM jobs",
            "DELETE FROM active_adapters",
            "DELETE FROM activations",
            "DELETE FROM adapters",
        ):
            connection.exec_driver_sql(statement)
    assert watch.look() == (ONE, TWO)


# What goes wrong


def test_an_error_that_would_come_again_is_not_tried_again(
    store: Store, tracker: StateTracker
) -> None:
    untrained = dataclasses.replace(tracker, rates={})
    events: List[Event] = []
    worker = _worker(store, untrained, events, domains=[ONE])
    assert worker.run(once=True) == 1
    (job,) = store.jobs.of(ONE)
    assert job.state == "failed"
    assert job.error is not None and job.error.startswith("this tracker was never meta-trained")
    assert events[1]["said"] == job.error
    assert _worker(store, untrained, events, domains=[ONE]).run(once=True) == 0
    assert _states(store) == ["failed"]
    _worker(store, tracker, events, domains=[ONE]).run(once=True)  # the job is again as it was
    assert _states(store) == ["failed"]
    store.jobs.enqueue(ONE, asked_by="person")
    _worker(store, tracker, events, domains=[ONE]).run(once=True)
    assert _states(store) == ["done", "failed"]


def test_a_failure_is_over_when_what_failed_is_taken_back(
    store: Store, tracker: StateTracker
) -> None:
    """Else the alert of failed jobs would never end."""
    watch = Watch(store, tracker, domains=[ONE])
    work = _worker(store, tracker, [], domains=[ONE])
    work.run(once=True)
    watch.look()
    given = Feedback(ONE, Turn("system", "no"), thumb="down")
    store.feedback.add(given)
    assert watch.look() == (ONE,)
    lease = store.jobs.claim("me")
    assert lease is not None
    store.jobs.fail(lease, "no room")
    assert watch.look() == ()
    store.feedback.remove(ONE, given.id)
    assert watch.look() == (ONE,)
    work.run(once=True)
    assert _states(store) == ["done", "failed", "done"]
    assert len(store.adapters.versions(ONE)) == 1


def test_a_store_that_another_program_writes_to_is_not_away(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.onboarding.worker._PAUSES", (0.01, 0.01))
    events: List[Event] = []
    worker = _worker(store, tracker, events, domains=[ONE])
    answers: List[Any] = [StoreBusy("another process has been writing"), None]

    def next_() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    worker._next = next_  # type: ignore[method-assign]
    worker.run(once=True)
    assert [e["event"] for e in events] == ["started", "store busy", "store back", "stopped"]


def test_what_a_person_asked_for_fails_once(store: Store, tracker: StateTracker) -> None:
    untrained = dataclasses.replace(tracker, rates={})
    store.jobs.enqueue(ONE, asked_by="person")
    assert _worker(store, untrained, [], domains=[ONE]).run(once=True) == 1
    assert _states(store) == ["failed"]


@pytest.mark.parametrize("how", ["asked for", "changed since", "by hand"])
def test_what_is_cancelled_while_it_is_done_is_not_asked_for_again(
    store: Store, tracker: StateTracker, how: str
) -> None:
    def after_step(done: int, total: int, loss: float) -> None:
        if done == 1:
            store.jobs.cancel(ONE)

    watch = Watch(store, tracker, domains=[ONE])
    if how == "by hand":
        with pytest.raises(LeaseError, match=r"is over \(cancelled\)"):
            adapt_at_once(store, tracker, ONE, progress=after_step)
    else:
        if how == "asked for":
            store.jobs.enqueue(ONE, asked_by="person")
        else:
            watch.look()
            _change(store)
        lease = store.jobs.claim("me")
        assert lease is not None
        assert attempt(store, lease, tracker, progress=after_step).state == "lost"
    assert watch.look() == ()


def test_what_is_adapted_by_hand_while_a_dialogue_is_deleted_is_left_to_be_done_again(
    store: Store, tracker: StateTracker
) -> None:
    gone = store.dialogues.dialogues(ONE)[0].id

    def after_step(done: int, total: int, loss: float) -> None:
        if done == 1:
            store.dialogues.delete_dialogues(ONE, [gone])

    with pytest.raises(LeaseError, match=f"a worker does it, or `rasa-onramp adapt {ONE}`"):
        adapt_at_once(store, tracker, ONE, progress=after_step)
    assert store.adapters.versions(ONE) == ()
    adapt_at_once(store, tracker, ONE)
    assert (_states(store), _versions(store)) == (["done"], [1])


def test_an_import_is_no_reason_not_to_begin(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*given: Any, **more: Any) -> None:
        raise StoreBusy("another process is writing")

    monkeypatch.setattr(store.jobs, "note_input", busy)
    store.jobs.enqueue(ONE, asked_by="person")
    _worker(store, tracker, [], domains=[ONE]).run(once=True)
    assert _states(store) == ["done"]


def test_other_errors_are_tried_again_but_not_for_ever(store: Store, tracker: StateTracker) -> None:
    store.jobs.enqueue(ONE, asked_by="person")
    states = []
    for _ in range(ATTEMPTS):
        lease = store.jobs.claim("me")
        assert lease is not None
        done = attempt(store, lease, tracker, progress=_raising(RuntimeError("no\n memory")))
        states.append((done.state, done.said, done.failed))
        _due_now(store)
    assert states == [
        *[("again", "RuntimeError: no memory", True)] * (ATTEMPTS - 1),
        ("failed", "RuntimeError: no memory", True),
    ]
    assert store.jobs.claim("me") is None
    assert store.adapters.versions(ONE) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE domains SET schema = 'no' WHERE name = ?", f"the schema of domain '{ONE}' isn't"),
        ("UPDATE adapters SET created_at = 'no' WHERE domain = ?", "something that is no time"),
    ],
)
def test_a_domain_that_cannot_be_read_is_no_reason_to_leave_the_others(
    store: Store, tracker: StateTracker, change: str, said: str
) -> None:
    for name in (ONE, TWO):
        adapt(store, tracker, name)
        _change(store, name)
    with store._database.writing() as connection:
        connection.exec_driver_sql(change, (ONE,))
    events: List[Event] = []
    worker = _worker(store, tracker, events)
    for failed in (1, 0):  # and it isn't tried again
        assert worker.run(once=True) == failed
    done = {e["domain"]: (e["state"], e["said"]) for e in events if e["event"] == "job"}
    assert (done[ONE][0], done[TWO][0]) == ("failed", "done")
    assert said in done[ONE][1]


def test_a_job_taken_over_is_left_at_the_next_step(store: Store, tracker: StateTracker) -> None:
    store.jobs.enqueue(ONE, asked_by="person", inner_steps=500)
    lease = store.jobs.claim("me", seconds=1)
    assert lease is not None
    steps: List[int] = []

    def after_step(done: int, total: int, loss: float) -> None:
        steps.append(done)
        if done == 1:
            lapse(store)
            assert store.jobs.claim("second") is not None

    done = attempt(store, lease, tracker, progress=after_step)
    assert (done.state, done.failed) == ("lost", False)
    assert "was taken over by second" in done.said
    assert len(steps) < 500
    assert store.jobs.of(ONE)[0].owner == "second"


def test_a_lease_lost_in_the_last_moment_stores_nothing(
    store: Store, tracker: StateTracker
) -> None:
    store.jobs.enqueue(ONE, asked_by="person", inner_steps=2)
    lease = store.jobs.claim("me")
    assert lease is not None

    def after_step(done: int, total: int, loss: float) -> None:
        if done == total:
            store.jobs.cancel(ONE)

    assert attempt(store, lease, tracker, progress=after_step).state == "lost"
    assert store.adapters.versions(ONE) == ()
    assert store.jobs.of(ONE)[0].error == "cancelled"


def test_a_worker_that_is_stopped_gives_its_job_back(store: Store, tracker: StateTracker) -> None:
    store.jobs.enqueue(ONE, asked_by="person", inner_steps=9)
    events: List[Event] = []
    worker = _worker(store, tracker, events)
    tick = worker._after_step

    def after_step(done: int, total: int, loss: float) -> None:
        if done == 2:
            worker.stop()
        tick(done, total, loss)

    worker._after_step = after_step  # type: ignore[method-assign]
    assert worker.run() == 0
    (job,) = store.jobs.of(ONE)
    assert (job.state, job.attempts, job.owner) == ("queued", 0, None)
    assert [(e["event"], e.get("state")) for e in events] == [
        ("started", None),
        ("job", "given back"),
        ("stopped", None),
    ]


def test_a_worker_that_is_stopped_measures_no_further(store: Store, tracker: StateTracker) -> None:
    held_out = tuple(
        dataclasses.replace(d, id=f"more {d.id}", split="held-out")
        for d in store.dialogues.dialogues(ONE)
    )
    store.dialogues.import_corpus(Corpus({ONE: store.dialogues.schema(ONE)}, held_out))
    events: List[Event] = []
    worker = _worker(store, tracker, events, domains=[ONE])

    def after_step(done: int, total: int, loss: float) -> None:
        if done == total:
            worker.stop()

    worker._after_step = after_step  # type: ignore[method-assign]
    assert worker.run() == 0
    assert [e.get("state") for e in events] == [None, "given back", None]
    assert _states(store) == ["queued"] and store.adapters.versions(ONE) == ()


def test_a_store_that_goes_away_is_waited_for(
    store: Store, tracker: StateTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.onboarding.worker._PAUSES", (0.05, 0.2))
    home, away = tmp_path / "onramp.db", tmp_path / "away.db"
    events: List[Event] = []
    worker = _worker(store, tracker, events, domains=[ONE])
    tick, waits = worker._after_step, worker._sleep

    def after_step(done: int, total: int, loss: float) -> None:
        if not any(event["event"] == "store away" for event in events):
            home.rename(away)
        tick(done, total, loss)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            away.rename(home)
        waits(seconds)

    pauses: List[float] = []
    worker._after_step = after_step  # type: ignore[method-assign]
    worker._sleep = sleep  # type: ignore[method-assign]
    assert worker.run(once=True) == 0
    assert pauses == [0.05, 0.1, 0.2]
    assert [(e["event"], e.get("state")) for e in events] == [
        ("started", None),
        ("job", "given back"),
        ("store away", None),
        ("store back", None),
        ("job", "done"),
        ("stopped", None),
    ]
    assert store.jobs.of(ONE)[0].attempts == 1


def test_once_waits_no_longer_than_a_lease_lasts(
    store: Store, tracker: StateTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.onboarding.worker._PAUSES", (0.3, 0.6))
    events: List[Event] = []
    worker = _worker(store, tracker, events, domains=[ONE], seconds=1)
    worker._after_step = lambda *given: _away(tmp_path)  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        worker.run(once=True)
    assert [event["event"] for event in events] == ["started", "job", "store away"]
    assert time.monotonic() - began > 0.3  # it did wait


def _away(folder: Path) -> None:
    if (folder / "onramp.db").exists():
        (folder / "onramp.db").rename(folder / "away.db")


def test_a_store_that_is_there_and_refuses_is_no_outage(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given back, the job would be due at once, and again for ever."""

    def full(*given: Any, **more: Any) -> int:
        raise StoreUnavailable("out of room; free some")

    monkeypatch.setattr(store.adapters, "add", full)
    events: List[Event] = []
    worker = _worker(store, tracker, events, domains=[ONE])
    for _ in range(ATTEMPTS):
        assert worker.run(once=True) == 1
        assert worker.run(once=True) == 0  # not before the pause is over
        _due_now(store)
    said = [(e["state"], e["said"], e["attempt"]) for e in events if e["event"] == "job"]
    assert said == [
        ("again", "out of room; free some", 1),
        ("again", "out of room; free some", 2),
        ("failed", "out of room; free some", 3),
    ]
    (job,) = store.jobs.of(ONE)
    assert (job.state, job.error) == ("failed", "out of room; free some")


# The heartbeat


def test_a_heartbeat_keeps_a_short_lease_and_tells_how_far_it_is(store: Store) -> None:
    store.jobs.enqueue(ONE, asked_by="person")
    lease = store.jobs.claim("me", seconds=2.0)
    assert lease is not None
    with Heartbeat(store, lease) as heartbeat:
        heartbeat.step(3, 8, 0.5)
        heard, until = [lease.job.heartbeat_at], [lease.job.lease_until]
        for _ in range(2):
            wait_for(lambda: store.jobs.of(ONE)[0].heartbeat_at != heard[-1])
            (job,) = store.jobs.of(ONE)
            heard.append(job.heartbeat_at)
            until.append(job.lease_until)
        assert (job.step, job.total, job.loss) == (3, 8, 0.5)
    assert sorted(set(heard)) == heard  # each later than the one before
    assert {end - beat for beat, end in zip(heard, until)} == {timedelta(seconds=2)}
    lapse(store)
    assert store.jobs.claim("second") is not None


def test_progress_is_stored_about_once_a_second(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.jobs.enqueue(ONE, asked_by="person")
    lease = store.jobs.claim("me")
    assert lease is not None
    beat = store.jobs.beat
    stored: List[Dict[str, Any]] = []

    def noted(lease: Lease, **progress: Any) -> None:
        stored.append(progress)
        beat(lease, **progress)

    monkeypatch.setattr(store.jobs, "beat", noted)
    began = time.monotonic()
    with Heartbeat(store, lease) as heartbeat:
        while time.monotonic() < began + 1.5:
            heartbeat.step(len(stored) + 1, 8, 0.5)
            time.sleep(0.001)
    assert stored[0] == {"step": 1, "total": 8, "loss": 0.5}
    assert len(stored) <= time.monotonic() - began


def test_a_heartbeat_outlives_a_store_that_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.jobs.enqueue(ONE, asked_by="person")
    lease = store.jobs.claim("me", seconds=0.2)
    assert lease is not None
    beat, away = store.jobs.beat, [True, True]

    def failing(*given: Any, **more: Any) -> None:
        if away and away.pop():
            raise StoreUnavailable("away")
        beat(*given, **more)

    monkeypatch.setattr(store.jobs, "beat", failing)
    with Heartbeat(store, lease) as heartbeat:
        wait_for(lambda: store.jobs.of(ONE)[0].heartbeat_at != lease.job.heartbeat_at)
        heartbeat.step(1, 2, 0.0)


def test_a_heartbeat_says_once_a_minute_that_the_store_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.jobs.enqueue(ONE, asked_by="person")
    lease = store.jobs.claim("me", seconds=0.2)
    assert lease is not None
    tries: List[str] = []

    def away(*given: Any, **more: Any) -> None:
        tries.append("away" if len(tries) < 4 else "still away")
        raise StoreUnavailable(tries[-1])

    monkeypatch.setattr(store.jobs, "beat", away)

    def said_in(count: int) -> List[str]:
        """What is logged while it is tried so often."""
        tries.clear()
        caplog.clear()
        with Heartbeat(store, lease):
            wait_for(lambda: len(tries) >= count)
        return [record.getMessage().rpartition(": ")[2] for record in caplog.records]

    assert said_in(8) == ["away", "still away"]
    monkeypatch.setattr("rasa_onramp.onboarding.heartbeat.Seldom", lambda: Seldom(0.0))
    assert len(said_in(8)) >= 8


# By hand


def test_by_hand_and_a_worker_never_adapt_one_domain_at_once(
    store: Store, tracker: StateTracker
) -> None:
    def after_step(done: int, total: int, loss: float) -> None:
        assert store.jobs.claim("worker") is None
        with pytest.raises(LeaseError, match=f"{ONE!r} is being adapted by .*; wait until that"):
            adapt_at_once(store, tracker, ONE)

    made = adapt_at_once(store, tracker, ONE, progress=after_step)
    assert made.version == 1
    (job,) = store.jobs.of(ONE)
    assert (job.state, job.asked_by, job.version, job.attempts) == ("done", "adapt", 1, 1)
    again = adapt_at_once(store, tracker, ONE)
    assert again == store.adapters.info(ONE, 1)
    assert adapt_at_once(store, tracker, ONE, force=True).version == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (CheckpointError("broken; mend it"), "broken; mend it"),
        (StoreUnavailable("out of room; free some"), "out of room; free some"),
        (RuntimeError("no memory"), "RuntimeError: no memory"),
    ],
)
def test_what_ends_it_by_hand_is_raised_and_it_is_not_tried_again(
    store: Store, tracker: StateTracker, error: BaseException, said: str
) -> None:
    with pytest.raises(type(error)):
        adapt_at_once(store, tracker, ONE, progress=_raising(error))
    (job,) = store.jobs.of(ONE)
    assert (job.state, job.error) == ("failed", said)
    assert adapt_at_once(store, tracker, ONE).version == 1


def _raising(error: BaseException) -> Callable[[int, int, float], None]:
    def raises(done: int, total: int, loss: float) -> None:
        raise error

    return raises


def _due_now(store: Store) -> None:
    with store._database.marking() as connection:
        connection.exec_driver_sql("UPDATE jobs SET due_at = created_at")
