"""Who may change a job, inside a transaction that others opened: its lease's owner, nobody else."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, Mapping, Optional

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.errors import LeaseError
from rasa_onramp.store import tables
from rasa_onramp.store.job_rows import Job, Lease, clock, newest_job

__all__ = [
    "NOBODY",
    "NOT_BEGUN",
    "busy",
    "finish_job",
    "start_over",
    "take",
    "write_held",
    "write_job",
]

#: A job that nobody is at, and one of which nothing is done.
NOBODY: Mapping[str, Any] = {"owner": None, "token": None, "lease_until": None}
NOT_BEGUN: Mapping[str, Any] = {"step": None, "total": None, "loss": None}


def take(
    connection: Connection,
    job: Job,
    owner: str,
    seconds: float,
    now: datetime,
    wanted: Mapping[str, Any],
) -> Lease:
    """Make `owner` the one who does `job`, as it is `wanted` now."""
    token = uuid.uuid4().hex
    values = {
        **wanted,
        **NOT_BEGUN,
        "state": "running",
        "owner": owner,
        "token": token,
        "attempts": job.attempts + 1,
        "started_at": now,
        "heartbeat_at": now,
        "lease_until": now + timedelta(seconds=seconds),
    }
    write_job(connection, job, values)
    taken = newest_job(connection, job.domain, now)
    assert taken is not None
    return Lease(taken, token, seconds)


def write_job(connection: Connection, job: Job, values: Mapping[str, Any]) -> None:
    """Change a job, whoever is at it."""
    columns = tables.jobs.c
    same = sa.and_(columns.domain == job.domain, columns.number == job.number)
    connection.execute(sa.update(tables.jobs).where(same).values(**values))


def start_over(connection: Connection, domain: str) -> None:
    """Have a running job of `domain` done anew, by anybody: what it has read is to be forgotten.
    Its owner can store nothing of it.
    """
    columns = tables.jobs.c
    running = sa.and_(columns.domain == domain, columns.state == "running")
    values = {**NOBODY, **NOT_BEGUN, "state": "queued", "attempts": columns.attempts - 1}
    connection.execute(sa.update(tables.jobs).where(running).values(**values))


def _held(lease: Lease) -> Any:
    """That a row is the lease's job, and still its own."""
    columns = tables.jobs.c
    return sa.and_(
        columns.domain == lease.job.domain,
        columns.number == lease.job.number,
        columns.token == lease.token,
        columns.state == "running",
    )


def write_held(connection: Connection, lease: Lease, values: Mapping[str, Any]) -> None:
    """Change the lease's job. Raises LeaseError if it isn't the lease's any more."""
    done = connection.execute(sa.update(tables.jobs).where(_held(lease)).values(**values))
    if done.rowcount == 0:
        raise _lease_lost(connection, lease)


def finish_job(
    connection: Connection, lease: Lease, *, version: Optional[int], outcome: Optional[str]
) -> None:
    """The job is done. Raises LeaseError, with which all of the transaction is undone."""
    now = clock(connection)
    values = {
        "state": "done",
        "step": tables.jobs.c.total,  # the last ones needn't have been told
        "version": version,
        "outcome": outcome,
        "error": None,
        "finished_at": now,
        "heartbeat_at": now,
        "lease_until": None,
    }
    write_held(connection, lease, values)


def _lease_lost(connection: Connection, lease: Lease) -> LeaseError:
    """Why a lease is no good any more."""
    job, columns = lease.job, tables.jobs.c
    row = connection.execute(
        sa.select(columns.state, columns.owner, columns.error).where(
            columns.domain == job.domain, columns.number == job.number
        )
    ).first()
    if row is None:
        why = "is gone, as the domain was deleted"
    elif row.state == "running":
        why = f"was taken over by {row.owner}, as nothing had been heard of {job.owner} for long"
    elif row.state == "queued":
        why = (
            "waits to be done again, as it was asked for anew or what it learns from was deleted "
            f"(a worker does it, or `rasa-onramp adapt {job.domain}`)"
        )
    else:
        why = f"is over ({row.error or row.state})"
    return LeaseError(
        f"job {job.number} of domain {job.domain!r} {why}; what was made of it here isn't stored: "
        "`rasa-onramp jobs list` shows how jobs stand"
    )


def busy(job: Job, now: datetime) -> LeaseError:
    """What is said of a job that another process is at."""
    heard = 0.0 if job.heartbeat_at is None else (now - job.heartbeat_at).total_seconds()
    far = "" if job.step is None else f"step {job.step} of {job.total}, "
    return LeaseError(
        f"domain {job.domain!r} is being adapted by {job.owner} ({far}last heard of {heard:.0f} s "
        f"ago); wait until that is done, or stop it with `rasa-onramp jobs cancel {job.domain}`"
    )
