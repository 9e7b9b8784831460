"""Which adapter version a domain runs on, which are pinned and which have run, inside a transaction
that others opened.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.errors import NotFound
from rasa_onramp.store import tables
from rasa_onramp.store.rows import require_domain

__all__ = [
    "active_version",
    "is_pinned",
    "pin",
    "require_version",
    "superfluous",
    "switch",
    "unpin",
    "version_before",
]


def require_version(connection: Connection, domain: str, version: int) -> None:
    """Raise NotFound if there is no such domain or version."""
    require_domain(connection, domain)
    numbers = _numbers(connection, domain)
    if version in numbers:
        return
    has = f"it has {', '.join(map(str, numbers))}" if numbers else "it has none yet"
    raise NotFound(
        f"domain {domain!r} has no adapter version {version}; {has}: name one of its versions, "
        f"or make one with `rasa-onramp adapt {domain}`"
    )


def active_version(connection: Connection, domain: str) -> Optional[int]:
    """The version that `domain` runs on, None if it has none."""
    active = tables.active_adapters.c
    return connection.execute(sa.select(active.version).where(active.domain == domain)).scalar()


def switch(connection: Connection, domain: str, version: Optional[int]) -> None:
    """Make `version` the active one, and remember when."""
    table, ran = tables.active_adapters, tables.activations
    connection.execute(sa.delete(table).where(table.c.domain == domain))
    if version is not None:
        connection.execute(sa.insert(table).values(domain=domain, version=version))
        connection.execute(sa.delete(ran).where(ran.c.domain == domain, ran.c.version == version))
        now = datetime.now(timezone.utc)
        connection.execute(sa.insert(ran).values(domain=domain, version=version, at=now))


def version_before(connection: Connection, domain: str, version: int) -> Optional[int]:
    """Of the versions older than `version`, the one that was made active last; None without any."""
    ran = tables.activations.c
    return connection.execute(
        sa.select(ran.version)
        .where(ran.domain == domain, ran.version < version)
        .order_by(ran.at.desc(), ran.version.desc())
        .limit(1)
    ).scalar()


def is_pinned(connection: Connection, domain: str, version: Optional[int]) -> bool:
    """Whether a version is pinned; None, which is no version, never is."""
    pins = tables.pins.c
    found = sa.select(pins.version).where(pins.domain == domain, pins.version == version)
    return version is not None and connection.execute(found).first() is not None


def pin(connection: Connection, domain: str, version: int) -> None:
    """Pin a version that isn't."""
    connection.execute(sa.insert(tables.pins).values(domain=domain, version=version))


def unpin(connection: Connection, domain: str, version: int) -> None:
    """Unpin a version."""
    pins = tables.pins
    connection.execute(sa.delete(pins).where(pins.c.domain == domain, pins.c.version == version))


def superfluous(connection: Connection, domain: str, keep: int) -> Tuple[int, ...]:
    """The versions that are neither among the `keep` newest, nor active, nor pinned, nor, where
    more than one is kept, what a rollback goes to.
    """
    numbers = _numbers(connection, domain)
    pins = tables.pins.c
    pinned = connection.execute(sa.select(pins.version).where(pins.domain == domain)).scalars()
    now = active_version(connection, domain)
    back = version_before(connection, domain, now) if now is not None and keep > 1 else None
    kept = {*numbers[-keep:], *pinned, now, back}
    return tuple(number for number in numbers if number not in kept)


def _numbers(connection: Connection, domain: str) -> Tuple[int, ...]:
    columns = tables.adapters.c
    found = sa.select(columns.version).where(columns.domain == domain).order_by(columns.version)
    return tuple(connection.execute(found).scalars())
