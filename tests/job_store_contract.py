"""What a store does with jobs: one suite, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from changed_jobs import change_job, lapse, time_of
from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import LeaseError, NotFound
from rasa_onramp.store import ATTEMPTS, Job, Lease, Store, open_store, tables
from rasa_onramp.store.jobs import KEPT
from store_contract import PARCELS, dialogue

__all__ = ["JobStoreContract"]

NAME = "parcels"
_SPAWN = multiprocessing.get_context("spawn")


class JobStoreContract:
    """Subclasses give the fixture `url`: a database of the test's own, without tables."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with open_store(url) as store:
            store.upgrade()
            _domains(store, NAME)
            yield store

    # Asking

    def test_a_domain_has_one_unfinished_job_however_often_it_is_asked_for(
        self, store: Store
    ) -> None:
        revision = store.revision()
        job, new = store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")
        assert new
        assert (job.domain, job.number, job.state, job.attempts) == (NAME, 1, "queued", 0)
        assert (job.asked_by, job.input_digest, job.owner) == ("worker", "one", None)
        again = store.jobs.enqueue(NAME, asked_by="worker", input_digest="two")
        assert again == (job, False)
        lease = _claim(store)
        running, new = store.jobs.enqueue(NAME, asked_by="console", force=True)
        assert (running, new) == (lease.job, False)
        store.jobs.finish(lease, "nothing to do")
        job, new = store.jobs.enqueue(NAME, asked_by="worker", input_digest="two")
        assert (job.number, new) == (2, True)
        assert store.revision() == revision  # a running bot has nothing to do with it

    def test_a_person_changes_what_is_wanted_of_a_job_that_waits(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")
        store.jobs.fail(_claim(store), "no luck", again=True)
        wanted = {"inner_steps": 3, "force": True, "switch_anyway": True}
        job, new = store.jobs.enqueue(NAME, asked_by="console", **wanted)
        assert not new
        assert {name: getattr(job, name) for name in wanted} == wanted
        assert (job.asked_by, job.input_digest, job.attempts) == ("console", "one", 0)
        assert _claim(store).job.number == 1  # and the pause is over

    def test_what_failed_is_not_tried_again_until_something_changed(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")
        assert not store.jobs.fail(_claim(store), "broken")
        (failed,) = store.jobs.of(NAME)
        assert store.jobs.enqueue(NAME, asked_by="worker", input_digest="one") == (failed, False)
        assert store.jobs.enqueue(NAME, asked_by="worker", input_digest="two")[1]
        store.jobs.cancel(NAME)
        assert not store.jobs.enqueue(NAME, asked_by="worker", input_digest="two")[1]
        assert store.jobs.enqueue(NAME, asked_by="person")[1]

    def test_what_a_person_changed_and_cancelled_is_not_asked_for_again(self, store: Store) -> None:
        for number, take_up in enumerate(("enqueue", "begin"), start=1):
            digest = f"digest {number}"
            store.jobs.enqueue(NAME, asked_by="worker", input_digest=digest)
            if take_up == "enqueue":
                store.jobs.enqueue(NAME, asked_by="person", force=True)
            else:
                store.jobs.begin(NAME, "me", asked_by="adapt")
            store.jobs.cancel(NAME)
            assert not store.jobs.enqueue(NAME, asked_by="worker", input_digest=digest)[1]

    def test_what_was_noted_of_a_job_that_failed_is_not_asked_for_again(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="person")
        lease = _claim(store)
        store.jobs.note_input(lease, "one")
        assert store.jobs.cancel(NAME).input_digest == "one"
        assert not store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")[1]
        assert store.jobs.enqueue(NAME, asked_by="worker", input_digest="two")[1]

    def test_what_failed_by_hand_is_left_to_the_workers(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")
        lease = store.jobs.begin(NAME, "me", asked_by="adapt")
        store.jobs.fail(lease, "interrupted", by_hand=True)
        assert store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")[1]

    def test_the_tables_themselves_refuse_a_second_unfinished_job(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        row = {"domain": NAME, "number": 2, "asked_by": "x", "force": False, "attempts": 0}
        moment = store.jobs.of(NAME)[0].created_at
        more = {"switch_anyway": False, "created_at": moment, "due_at": moment}
        for state in tables.UNFINISHED:
            with pytest.raises(exc.IntegrityError), store._database._engine.begin() as connection:
                connection.execute(sa.insert(tables.jobs).values(**row, **more, state=state))
        with store._database._engine.begin() as connection:
            connection.execute(sa.insert(tables.jobs).values(**row, **more, state="done"))

    def test_old_jobs_go_and_no_number_is_given_twice(self, store: Store) -> None:
        for _ in range(KEPT + 3):
            store.jobs.enqueue(NAME, asked_by="worker")
            store.jobs.finish(_claim(store), "done")
        assert [job.number for job in store.jobs.of(NAME)] == list(range(KEPT + 3, 3, -1))

    # Claiming

    def test_a_job_is_claimed_once_and_the_one_that_waits_longest_first(self, store: Store) -> None:
        _domains(store, "letters", "stamps")
        for name in ("stamps", NAME, "letters"):
            store.jobs.enqueue(name, asked_by="worker")
        assert store.jobs.due() == ("stamps", NAME, "letters")
        first = _claim(store, seconds=30)
        assert store.jobs.due() == (NAME, "letters")
        job = first.job
        assert (job.domain, job.state, job.owner, job.attempts) == ("stamps", "running", "me", 1)
        assert job.started_at == job.heartbeat_at
        assert job.lease_until == _later(job.started_at, 30)
        assert not job.lapsed
        assert store.jobs.claim("me", domains=["nothing", "stamps"]) is None
        assert _claim(store, domains=["letters"]).job.domain == "letters"
        assert _claim(store).job.domain == NAME
        assert store.jobs.claim("me") is None
        assert [job.state for job in store.jobs.newest()] == ["running"] * 3
        assert [job.domain for job in store.jobs.newest(["gone", "letters"])] == ["letters"]
        assert store.jobs.newest([]) == ()
        assert store.jobs.newest([*map(str, range(1000)), NAME]) == store.jobs.newest([NAME])

    def test_processes_and_threads_claim_each_job_once(self, url: str, store: Store) -> None:
        names = [f"domain-{number:02}" for number in range(40)]
        _domains(store, *names)
        for name in names:
            store.jobs.enqueue(name, asked_by="worker")
        queue = _SPAWN.Queue()
        processes = [_SPAWN.Process(target=_claim_all, args=(url, queue)) for _ in range(2)]
        for process in processes:
            process.start()
        taken = [name for _ in range(2 * _THREADS) for name in queue.get(timeout=120)]
        for process in processes:
            process.join(120)
        assert sorted(taken) == names
        assert all(store.jobs.of(name)[0].attempts == 1 for name in names)

    # Doing it

    def test_a_heartbeat_says_how_far_it_is_and_keeps_the_lease(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store, seconds=30)
        store.jobs.beat(lease, step=3, total=8, loss=0.25)
        (job,) = store.jobs.of(NAME)
        assert (job.step, job.total, job.loss) == (3, 8, 0.25)
        assert job.heartbeat_at is not None and lease.job.heartbeat_at is not None
        assert job.heartbeat_at > lease.job.heartbeat_at
        assert job.lease_until == _later(job.heartbeat_at, 30)
        store.jobs.beat(lease)
        assert store.jobs.of(NAME)[0].step == 3

    def test_a_loss_that_is_no_number_is_none(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        store.jobs.beat(_claim(store), step=3, total=8, loss=float("nan"))
        (job,) = store.jobs.of(NAME)
        assert (job.step, job.loss) == (3, None)

    def test_what_learns_from_a_dialogue_that_is_deleted_starts_over(self, store: Store) -> None:
        kept, gone = dialogue("kept"), dialogue("gone")
        store.dialogues.import_corpus(Corpus({NAME: PARCELS}, (kept, gone)))
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store)
        store.jobs.beat(lease, step=3, total=8, loss=0.25)
        store.dialogues.delete_dialogues(NAME, ["gone"])
        _assert_powerless(store, lease, "waits to be done again, as it was asked for anew or what")
        (job,) = store.jobs.of(NAME)
        assert (job.state, job.owner, job.step, job.attempts) == ("queued", None, None, 0)
        assert _claim(store).job.number == job.number

    def test_the_job_is_done_with_the_version_or_not_at_all(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store)
        assert _add(store, lease=lease, outcome="from 5 dialogues") == 1
        (job,) = store.jobs.of(NAME)
        assert (job.state, job.version, job.outcome) == ("done", 1, "from 5 dialogues")
        assert job.finished_at is not None and job.started_at is not None
        assert job.finished_at > job.started_at
        with pytest.raises(LeaseError, match=r"job 1 of domain 'parcels' is over \(done\);"):
            _add(store, lease=lease)  # as after a connection cut when all was written
        assert len(store.adapters.versions(NAME)) == 1

    def test_a_lease_that_is_lost_never_writes(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lost = _claim(store, "first")
        assert store.jobs.due() == ()
        lapse(store)
        assert store.jobs.due() == (NAME,)
        assert store.jobs.of(NAME)[0].lapsed
        now = _claim(store, "second")
        assert (now.job.number, now.job.attempts, now.job.owner) == (1, 2, "second")
        revision = store.revision()
        _assert_powerless(store, lost, "was taken over by second, as nothing had been heard of fir")
        assert (store.jobs.of(NAME)[0], store.revision()) == (now.job, revision)
        _add(store, lease=now)
        assert store.adapters.active(NAME) is not None

    def test_a_lapsed_lease_is_good_again_where_nobody_took_the_job(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store)
        lapse(store)
        store.jobs.beat(lease)
        assert store.jobs.claim("second") is None
        lapse(store)
        _add(store, lease=lease)

    def test_a_person_has_a_job_whose_workers_died_begun_anew(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")
        for _ in range(ATTEMPTS):
            lost = _claim(store)
            store.jobs.beat(lost, step=3, total=8, loss=0.25)
            lapse(store)
        watched, new = store.jobs.enqueue(NAME, asked_by="worker", input_digest="two")
        assert (watched.lapsed, watched.input_digest, new) == (True, "one", False)
        job, new = store.jobs.enqueue(NAME, asked_by="person", force=True)
        assert (job.number, job.state, job.attempts, new) == (1, "queued", 0, False)
        assert (job.asked_by, job.owner, job.step) == ("person", None, None)
        _assert_powerless(store, lost, "waits to be done again, as it was asked for anew or what")
        lease = _claim(store)
        assert (lease.job.force, lease.job.attempts, lease.job.input_digest) == (True, 1, "one")

    def test_a_job_whose_workers_all_die_fails_in_the_end(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        for number in range(ATTEMPTS):
            assert _claim(store, f"worker-{number}").job.attempts == number + 1
            lapse(store)
        assert store.jobs.claim("another") is None
        (job,) = store.jobs.of(NAME)
        assert job.state == "failed"
        assert job.error == "worker-2 was heard of no more, at attempt 3 of 3"

    def test_what_fails_is_tried_again_after_a_pause_that_grows(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        assert ATTEMPTS == 3
        for attempt, pause in enumerate((10, 20), start=1):
            lease, before = _claim(store), time_of(store)
            assert store.jobs.fail(lease, "out of memory", again=True)
            (job,) = store.jobs.of(NAME)
            assert (job.state, job.error, job.attempts) == ("queued", "out of memory", attempt)
            assert _later(before, pause) <= job.due_at <= _later(time_of(store), pause)
            assert store.jobs.claim("me") is None
            assert store.jobs.due() == ()
            change_job(store, due_at=job.created_at)
        assert not store.jobs.fail(_claim(store), "out of memory", again=True)
        assert store.jobs.of(NAME)[0].state == "failed"
        assert store.jobs.claim("me") is None

    def test_what_is_given_back_is_done_by_another_at_once(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store)
        store.jobs.beat(lease, step=3, total=8, loss=0.25)
        store.jobs.release(lease)
        (job,) = store.jobs.of(NAME)
        assert (job.state, job.attempts, job.owner, job.step) == ("queued", 0, None, None)
        _assert_powerless(store, lease, "waits to be done again, as it was asked for anew or what")
        assert _claim(store, "second").job.attempts == 1

    def test_who_asks_again_or_gives_back_keeps_the_place_in_the_queue(self, store: Store) -> None:
        _domains(store, "letters")
        for name in (NAME, "letters"):
            store.jobs.enqueue(name, asked_by="worker", input_digest="one")
        store.jobs.enqueue(NAME, asked_by="person")
        lease = _claim(store)
        assert lease.job.domain == NAME
        store.jobs.release(lease)
        assert [_claim(store).job.domain for _ in range(2)] == [NAME, "letters"]

    # By hand

    def test_beginning_takes_a_job_that_waits_or_a_new_one(self, store: Store) -> None:
        lease = store.jobs.begin(NAME, "me", asked_by="adapt", inner_steps=2)
        assert (lease.job.number, lease.job.asked_by, lease.job.inner_steps) == (1, "adapt", 2)
        assert store.jobs.claim("other") is None
        _add(store, lease=lease)
        store.jobs.enqueue(NAME, asked_by="worker", input_digest="one")
        lease = store.jobs.begin(NAME, "me", asked_by="adapt", force=True)
        job = lease.job
        assert (job.number, job.force, job.asked_by, job.input_digest) == (2, True, "adapt", "one")
        assert len(store.jobs.of(NAME)) == 2

    def test_beginning_where_another_is_at_it_says_who(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store, "host:7")
        store.jobs.beat(lease, step=3, total=8, loss=0.5)
        busy = (
            r"'parcels' is being adapted by host:7 \(step 3 of 8, last heard of \d+ s ago\); wait "
        )
        with pytest.raises(LeaseError, match=busy + ".*`rasa-onramp jobs cancel parcels`$"):
            store.jobs.begin(NAME, "me", asked_by="adapt")
        store.jobs.beat(lease)  # it wasn't disturbed
        lapse(store)
        mine = store.jobs.begin(NAME, "me", asked_by="adapt")
        assert (mine.job.number, mine.job.owner) == (1, "me")
        _assert_powerless(store, lease, "was taken over by me")

    def test_cancelling_stops_whoever_is_at_it(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store)
        assert store.jobs.cancel(NAME).error == "cancelled"
        _assert_powerless(store, lease, r"is over \(cancelled\)")
        with pytest.raises(NotFound, match="'parcels' has no unfinished job; `rasa-onramp jobs"):
            store.jobs.cancel(NAME)

    def test_a_deleted_domain_takes_its_jobs_along(self, store: Store) -> None:
        store.jobs.enqueue(NAME, asked_by="worker")
        lease = _claim(store)
        store.dialogues.delete_domain(NAME)
        assert store.jobs.newest() == ()
        for call in (lambda: store.jobs.beat(lease), lambda: store.jobs.release(lease)):
            with pytest.raises(LeaseError, match="is gone, as the domain was deleted"):
                call()
        _domains(store, NAME)  # one of that name made anew is another one
        store.jobs.enqueue(NAME, asked_by="worker")
        _claim(store, "second")
        _assert_powerless(store, lease, "was taken over by second")

    def test_what_is_not_there_is_named(self, store: Store) -> None:
        calls: List[Callable[[], Any]] = [
            lambda: store.jobs.enqueue("parcel", asked_by="x"),
            lambda: store.jobs.begin("parcel", "me", asked_by="x"),
            lambda: store.jobs.cancel("parcel"),
            lambda: store.jobs.of("parcel"),
        ]
        for call in calls:
            with pytest.raises(NotFound, match=r"no domain 'parcel'; did you mean 'parcels'\?$"):
                call()
        assert store.jobs.of(NAME) == ()

    # The table and its owners at once

    def test_a_version_and_a_takeover_at_once_are_one_or_the_other(self, store: Store) -> None:
        """Whoever comes first; the other finds out."""
        for _ in range(10):
            store.jobs.enqueue(NAME, asked_by="worker")
            lease = _claim(store, "first")
            lapse(store)
            before = len(store.adapters.versions(NAME))
            start = threading.Barrier(2)
            with ThreadPoolExecutor(2) as pool:
                adding = pool.submit(_raced, start, lambda held=lease: _add(store, lease=held))
                taking = pool.submit(_raced, start, lambda: store.jobs.claim("second"))
                added, taken = adding.result(), taking.result()
            assert isinstance(added, LeaseError) == isinstance(taken, Lease)
            made = len(store.adapters.versions(NAME)) - before
            if isinstance(taken, Lease):
                assert made == 0
                store.jobs.finish(taken, "done")
            else:
                assert (made, taken) == (1, None)


_THREADS = 2


def _domains(store: Store, *names: str) -> None:
    schemas = {name: replace(PARCELS, name=name) for name in names}
    store.dialogues.import_corpus(Corpus(schemas, ()))


def _claim(store: Store, owner: str = "me", **how: Any) -> Lease:
    lease = store.jobs.claim(owner, **how)
    assert lease is not None
    return lease


def _later(moment: Optional[Any], seconds: float) -> Any:
    assert moment is not None
    return moment + timedelta(seconds=seconds)


def _add(store: Store, **more: Any) -> int:
    return store.adapters.add(
        NAME, b"w", support_digest="s", checkpoint_digest="c", figures={}, **more
    )


def _assert_powerless(store: Store, lease: Lease, why: str) -> None:
    """None of what a lease is for works with it, and nothing changes."""
    before = (store.jobs.of(NAME), store.adapters.versions(NAME), store.revision())
    calls: Tuple[Callable[[], Any], ...] = (
        lambda: store.jobs.beat(lease, step=1, total=2, loss=0.0),
        lambda: store.jobs.note_input(lease, "another"),
        lambda: store.jobs.finish(lease, "done"),
        lambda: store.jobs.fail(lease, "broken"),
        lambda: store.jobs.fail(lease, "broken", again=True),
        lambda: store.jobs.release(lease),
        lambda: _add(store, lease=lease),
    )
    for call in calls:
        with pytest.raises(LeaseError, match=f"job 1 of domain 'parcels' {why}.*jobs list"):
            call()
    assert (store.jobs.of(NAME), store.adapters.versions(NAME), store.revision()) == before


def _raced(start: threading.Barrier, call: Callable[[], Any]) -> Any:
    start.wait()
    try:
        return call()
    except LeaseError as error:
        return error


def _claim_all(url: str, queue: Any) -> None:
    """What another process does, in several threads: claim all there is."""
    with open_store(url) as store:

        def work(number: int) -> List[str]:
            taken: Dict[str, Job] = {}
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                lease = store.jobs.claim(f"process-{number}")
                if lease is None:
                    return list(taken)
                assert lease.job.domain not in taken
                taken[lease.job.domain] = lease.job
            raise AssertionError("the jobs have no end")

        with ThreadPoolExecutor(_THREADS) as pool:
            for names in pool.map(work, range(_THREADS)):
                queue.put(names)
