"""A job as it is read from its row, inside a transaction that others opened.

Leases are counted by one clock, which all who share a store have in common: PostgreSQL's own, or
that of the one machine that an SQLite file is used on. A process's own clock is never asked on
PostgreSQL. Should that one clock jump, a lease ends early or late; as each change checks the
lease's token in its own transaction, no jump lets two processes write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Collection, Optional

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.store import tables

__all__ = ["CANCELLED", "Job", "Lease", "clock", "due", "due_job", "job_of", "newest_job"]

#: What is said of a job that somebody took back.
CANCELLED = "cancelled"

_COLUMNS = tables.jobs.c


@dataclass(frozen=True)
class Job:
    """Adapting a domain once. `number` counts a domain's jobs from 1.

    `state` is queued, running, done or failed. `asked_by` says in a word who wants it;
    `inner_steps`, `force` and `switch_anyway` are as `adapt` takes them; `input_digest` is of what
    the domain was like when it was asked for or, once begun, then; None where nobody has looked. It
    isn't begun before `due_at`, by whoever comes first.

    `owner` does it, or did it in the end; `attempts` counts how often it was begun. The owner of a
    running job has to say before `lease_until` that it lives, and last did at `heartbeat_at`; with
    `lapsed` it didn't, so another may take the job over. `step` of `total` are done, with `loss`.

    `version` is the adapter version that it made, `outcome` the rest of what `adapt` says of it;
    `error` is why the last attempt failed. All moments are in UTC, by the database's clock.
    """

    domain: str
    number: int
    state: str
    asked_by: str
    inner_steps: Optional[int]
    force: bool
    switch_anyway: bool
    input_digest: Optional[str]
    created_at: datetime
    due_at: datetime
    owner: Optional[str]
    attempts: int
    started_at: Optional[datetime]
    heartbeat_at: Optional[datetime]
    lease_until: Optional[datetime]
    step: Optional[int]
    total: Optional[int]
    loss: Optional[float]
    version: Optional[int]
    outcome: Optional[str]
    error: Optional[str]
    finished_at: Optional[datetime]
    lapsed: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether somebody took it back: the state is then "failed", too."""
        return self.state == "failed" and self.error == CANCELLED

    @property
    def failed(self) -> bool:
        """Whether it failed by itself."""
        return self.state == "failed" and not self.cancelled

    @property
    def unfinished(self) -> bool:
        """Whether it is still to be done, or being done."""
        return self.state in tables.UNFINISHED

    def failed_with(self, input_digest: str) -> bool:
        """Whether it failed, and that with just this input."""
        return self.state == "failed" and self.input_digest == input_digest


@dataclass(frozen=True)
class Lease:
    """The right to do a job, for `seconds` from each heartbeat. Nobody else knows the `token`."""

    job: Job
    token: str
    seconds: float


def clock(connection: Connection) -> datetime:
    """What time it is, by the clock that all who share the store have in common."""
    if connection.dialect.name == "postgresql":
        # not now(), which is when the transaction began
        moment: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return moment.astimezone(timezone.utc)
    return datetime.now(timezone.utc)


def job_of(row: Any, now: datetime) -> Job:
    """The job in a row of the table, which was read at `now`."""
    fields = {name: value for name, value in row._mapping.items() if name != "token"}
    until = fields["lease_until"]
    return Job(**fields, lapsed=fields["state"] == "running" and (until is None or until <= now))


def newest_job(connection: Connection, domain: str, now: datetime) -> Optional[Job]:
    """The newest job of `domain`, which no other may change until the transaction ends."""
    row = connection.execute(
        sa.select(tables.jobs)
        .where(_COLUMNS.domain == domain)
        .order_by(_COLUMNS.number.desc())
        .limit(1)
        .with_for_update()
    ).first()
    return None if row is None else job_of(row, now)


def due(now: datetime) -> Any:
    """The condition that a row's job may be claimed: it waits, or its lease has lapsed."""
    waits = sa.and_(_COLUMNS.state == "queued", _COLUMNS.due_at <= now)
    over = sa.or_(_COLUMNS.lease_until <= now, _COLUMNS.lease_until.is_(None))
    return sa.or_(waits, sa.and_(_COLUMNS.state == "running", over))


def due_job(
    connection: Connection,
    now: datetime,
    domains: Optional[Collection[str]],
    *,
    lapsed: bool = True,
) -> Optional[Job]:
    """The job that is due for longest and that no other process is changing; without `lapsed`, of
    those only that wait.
    """
    query = (
        sa.select(tables.jobs)
        .where(due(now))
        .order_by(_COLUMNS.due_at, _COLUMNS.domain)
        .limit(1)
        .with_for_update(skip_locked=True)  # SQLite has no such thing: there one writes at a time
    )
    if domains is not None:
        query = query.where(_COLUMNS.domain.in_(domains))
    if not lapsed:
        query = query.where(_COLUMNS.state == "queued")
    row = connection.execute(query).first()
    return None if row is None else job_of(row, now)
