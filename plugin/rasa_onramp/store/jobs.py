"""Jobs: adapting domains, shared out among the processes that do it.

A job waits in the store until somebody claims it. Who does has a lease, and says again and again
that it lives; who doesn't has lost the job to whoever claims it next. A domain has at most one
unfinished job, which the table's index sees to.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Collection, Dict, Mapping, Optional, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.errors import NotFound
from rasa_onramp.plain_json import plain
from rasa_onramp.store import tables
from rasa_onramp.store.database import Database
from rasa_onramp.store.job_rows import (
    CANCELLED,
    Job,
    Lease,
    clock,
    due,
    due_job,
    job_of,
    newest_job,
)
from rasa_onramp.store.lease_grace import Grace
from rasa_onramp.store.leases import (
    NOBODY,
    NOT_BEGUN,
    busy,
    finish_job,
    take,
    write_held,
    write_job,
)
from rasa_onramp.store.rows import NAMED, require_domain

__all__ = ["ATTEMPTS", "LEASE_SECONDS", "POLL_SECONDS", "JobStore"]

#: How often a job is begun before it counts as failed.
ATTEMPTS = 3
#: How long a job stays its owner's without a heartbeat.
LEASE_SECONDS = 60.0
#: How often who does jobs looks, while there are none, whether something changed.
POLL_SECONDS = 10.0
#: What is waited after the first failure; twice as long after each further one.
PAUSE_SECONDS = 10.0
#: Jobs of a domain that are kept, the newest.
KEPT = 20

_COLUMNS = tables.jobs.c


class JobStore:
    """The jobs in the database.

    Whose lease has lapsed has lost the job to whoever claims, begins or asks for it next. On SQLite
    nobody takes it who just had to wait for another writer: the owner waited, too, and may be about
    to say that it lives.
    """

    def __init__(self, database: Database):
        self._database = database
        self._grace = Grace(database)

    def enqueue(
        self,
        domain: str,
        *,
        asked_by: str,
        inner_steps: Optional[int] = None,
        force: bool = False,
        switch_anyway: bool = False,
        input_digest: Optional[str] = None,
    ) -> Tuple[Job, bool]:
        """Ask that `domain` be adapted. Returns its job, and whether that is new: where one is
        unfinished already, it is that one.

        Without `input_digest` (asked by a person): a queued or abandoned job takes over these
        settings and is due now; it keeps its digest. With one (of what the domain is like, asked by
        the watch): an existing job is left alone, and nothing is queued where the newest job failed
        on the same input. Raises NotFound, StoreUnavailable.
        """
        wanted = {
            "inner_steps": inner_steps,
            "force": force,
            "switch_anyway": switch_anyway,
        }
        asked = time.monotonic()
        with self._database.writing() as connection:
            lapsed = self._grace.is_over(asked)
            require_domain(connection, domain)
            now = clock(connection)
            newest = newest_job(connection, domain, now)
            if newest is not None and _is_free(newest, lapsed) and input_digest is None:
                due = min(newest.due_at, now)  # what waits already keeps its place
                anew = {**NOBODY, **NOT_BEGUN, "state": "queued", "due_at": due, "attempts": 0}
                write_job(connection, newest, {**wanted, **anew, "asked_by": asked_by})
            elif newest is None or not (
                newest.unfinished or (input_digest is not None and newest.failed_with(input_digest))
            ):
                more = {"asked_by": asked_by, "input_digest": input_digest}
                _insert(connection, domain, newest, now, {**wanted, **more})
                return _there(connection, domain, now), True
            return _there(connection, domain, now), False

    def claim(
        self,
        owner: str,
        *,
        seconds: float = LEASE_SECONDS,
        domains: Optional[Collection[str]] = None,
    ) -> Optional[Lease]:
        """Take the job that is due for longest, of these domains only if given; None if none is.

        A running one whose lease has lapsed is due, too; after ATTEMPTS of those it has failed. Any
        number of processes may claim at once, and no two get the same. Raises StoreUnavailable.
        """
        asked = time.monotonic()
        with self._database.marking() as connection:
            lapsed = self._grace.is_over(asked)
            while True:
                now = clock(connection)
                job = due_job(connection, now, domains, lapsed=lapsed)
                if job is None:
                    return None
                if not job.lapsed or job.attempts < ATTEMPTS:
                    return take(connection, job, owner, seconds, now, {})
                error = f"{job.owner} was heard of no more, at attempt {job.attempts} of {ATTEMPTS}"
                write_job(connection, job, _failed(error, now))

    def begin(
        self,
        domain: str,
        owner: str,
        *,
        asked_by: str,
        seconds: float = LEASE_SECONDS,
        inner_steps: Optional[int] = None,
        force: bool = False,
        switch_anyway: bool = False,
        input_digest: Optional[str] = None,
    ) -> Lease:
        """Take a job of `domain` at once: a new one, or the one that waits, as wanted here. Without
        an `input_digest` a digest that it has stays.

        Raises LeaseError where another process is at it, NotFound, StoreUnavailable.
        """
        wanted: Dict[str, Any] = {
            "asked_by": asked_by,
            "inner_steps": inner_steps,
            "force": force,
            "switch_anyway": switch_anyway,
        }
        if input_digest is not None:
            wanted["input_digest"] = input_digest
        asked = time.monotonic()
        with self._database.writing() as connection:
            lapsed = self._grace.is_over(asked)
            require_domain(connection, domain)
            now = clock(connection)
            newest = newest_job(connection, domain, now)
            if newest is None or not newest.unfinished:
                _insert(connection, domain, newest, now, wanted)
            elif not _is_free(newest, lapsed):
                raise busy(newest, now)
            return take(connection, _there(connection, domain, now), owner, seconds, now, wanted)

    def beat(
        self,
        lease: Lease,
        *,
        step: Optional[int] = None,
        total: Optional[int] = None,
        loss: Optional[float] = None,
    ) -> None:
        """Say that the lease's owner lives, and how far it is. A lease that has lapsed is good
        again where nobody took the job. Raises LeaseError if somebody did, StoreUnavailable.
        """
        progress = {} if step is None else {"step": step, "total": total, "loss": plain(loss)}
        with self._database.marking() as connection:
            now = clock(connection)
            until = now + timedelta(seconds=lease.seconds)
            write_held(connection, lease, {**progress, "heartbeat_at": now, "lease_until": until})

    def note_input(self, lease: Lease, input_digest: str) -> None:
        """Say what the domain is like that the lease's job is done with: where that fails or is
        cancelled, it isn't asked for again with the same. Raises LeaseError, StoreUnavailable.
        """
        with self._database.marking() as connection:
            write_held(connection, lease, {"input_digest": input_digest})

    def finish(self, lease: Lease, outcome: str) -> None:
        """The job is done without a new version; with one it is AdapterStore.add that says so.
        Raises LeaseError, StoreUnavailable.
        """
        with self._database.marking() as connection:
            finish_job(connection, lease, version=None, outcome=outcome)

    def fail(self, lease: Lease, error: str, *, again: bool = False, by_hand: bool = False) -> bool:
        """The attempt failed. With `again` the job is tried anew after a pause, but ATTEMPTS times
        in all; one that was tried `by_hand` may be asked for again by a worker. Returns whether it
        is tried anew. Raises LeaseError, StoreUnavailable.
        """
        attempts = lease.job.attempts
        again = again and attempts < ATTEMPTS
        with self._database.marking() as connection:
            now = clock(connection)
            values = {**_failed(error, now), **({"input_digest": None} if by_hand else {})}
            if again:
                due = now + timedelta(seconds=PAUSE_SECONDS * 2 ** (attempts - 1))
                values = {**NOBODY, "state": "queued", "error": error, "due_at": due}
            write_held(connection, lease, values)
        return again

    def release(self, lease: Lease) -> None:
        """Give the job back, for another to do at once; it doesn't count as an attempt. Raises
        LeaseError, StoreUnavailable.
        """
        with self._database.marking() as connection:
            values = {**NOBODY, **NOT_BEGUN, "state": "queued"}
            write_held(connection, lease, {**values, "attempts": _COLUMNS.attempts - 1})

    def cancel(self, domain: str) -> Job:
        """Let the unfinished job of `domain` fail; who is at it stops, and stores nothing. Returns
        the job. Raises NotFound, StoreUnavailable.
        """
        with self._database.writing() as connection:
            require_domain(connection, domain)
            now = clock(connection)
            job = newest_job(connection, domain, now)
            if job is None or not job.unfinished:
                raise NotFound(
                    f"domain {domain!r} has no unfinished job; `rasa-onramp jobs list` shows those "
                    "there are"
                )
            write_job(connection, job, _failed(CANCELLED, now))
            return _there(connection, domain, now)

    def of(self, domain: str) -> Tuple[Job, ...]:
        """The jobs of `domain` that are kept, newest first. Raises NotFound, StoreError,
        StoreUnavailable.
        """
        with self._database.reading() as connection:
            now = clock(connection)
            rows = connection.execute(
                sa.select(tables.jobs)
                .where(_COLUMNS.domain == domain)
                .order_by(_COLUMNS.number.desc())
            ).all()
            if not rows:
                require_domain(connection, domain)
        return tuple(job_of(row, now) for row in rows)

    def due(self) -> Tuple[str, ...]:
        """The domains whose jobs may be claimed now, the one that is due for longest first. Raises
        StoreUnavailable.
        """
        query = sa.select(_COLUMNS.domain).order_by(_COLUMNS.due_at, _COLUMNS.domain)
        with self._database.reading() as connection:
            return tuple(connection.execute(query.where(due(clock(connection)))).scalars())

    def newest(self, names: Optional[Collection[str]] = None) -> Tuple[Job, ...]:
        """The newest job of each domain that has any, the one made last first; only of those of
        `names`, if given. Raises StoreError, StoreUnavailable.
        """
        if names is not None and len(names) > NAMED:
            chosen = set(names)
            return tuple(job for job in self.newest() if job.domain in chosen)
        last = sa.select(_COLUMNS.domain, sa.func.max(_COLUMNS.number).label("number"))
        if names is not None:
            last = last.where(_COLUMNS.domain.in_(names))
        last = last.group_by(_COLUMNS.domain).subquery()
        same = sa.and_(last.c.domain == _COLUMNS.domain, last.c.number == _COLUMNS.number)
        with self._database.reading() as connection:
            now = clock(connection)
            rows = connection.execute(
                sa.select(tables.jobs)
                .join(last, same)
                .order_by(_COLUMNS.created_at.desc(), _COLUMNS.domain)
            ).all()
        return tuple(job_of(row, now) for row in rows)


def _is_free(job: Job, lapsed: bool) -> bool:
    """Whether nobody is at an unfinished job; `lapsed`: whether a lapsed lease counts as such."""
    return job.state == "queued" or (job.lapsed and lapsed)


def _there(connection: Connection, domain: str, now: datetime) -> Job:
    job = newest_job(connection, domain, now)
    assert job is not None
    return job


def _insert(
    connection: Connection,
    domain: str,
    newest: Optional[Job],
    now: datetime,
    wanted: Mapping[str, Any],
) -> None:
    number = 1 if newest is None else newest.number + 1
    row = {"domain": domain, "number": number, "state": "queued", "attempts": 0, **wanted}
    connection.execute(sa.insert(tables.jobs).values(**row, created_at=now, due_at=now))
    old = sa.and_(_COLUMNS.domain == domain, _COLUMNS.number <= number - KEPT)
    connection.execute(sa.delete(tables.jobs).where(old))


def _failed(error: str, now: datetime) -> Mapping[str, Any]:
    return {"state": "failed", "error": error, "finished_at": now, "lease_until": None}
