"""Adapter versions: what adapting a domain made. They never change; the active one is switched."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Mapping, NamedTuple, Optional, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.errors import ConfigError, NotFound, Switched
from rasa_onramp.store import tables
from rasa_onramp.store.adapter_rows import (
    INFOS,
    TRACKER,
    AdapterInfo,
    AdapterVersion,
    ReplyAdapter,
    check_digest,
    check_weights,
    checked_figures,
    info_of,
    version_of,
)
from rasa_onramp.store.database import Database
from rasa_onramp.store.digest import bytes_digest
from rasa_onramp.store.job_rows import Lease
from rasa_onramp.store.leases import finish_job
from rasa_onramp.store.rows import require_domain
from rasa_onramp.store.versions import (
    active_version,
    is_pinned,
    pin,
    require_version,
    superfluous,
    switch,
    unpin,
    version_before,
)

__all__ = ["AdapterStore", "InUse"]


class InUse(NamedTuple):
    """What a domain runs on: a version, None for the checkpoint alone, and whether it is pinned."""

    version: Optional[int]
    pinned: bool


class AdapterStore:
    """The adapter versions in the database."""

    def __init__(self, database: Database):
        self._database = database

    def add(
        self,
        domain: str,
        weights: bytes,
        *,
        support_digest: str,
        checkpoint_digest: str,
        figures: Mapping[str, Any],
        activate: bool = True,
        reply_weights: Optional[bytes] = None,
        reply_checkpoint_digest: Optional[str] = None,
        lease: Optional[Lease] = None,
        outcome: Optional[str] = None,
        decided_on: Optional[InUse] = None,
    ) -> int:
        """Store a new version, and switch to it if `activate`, in one transaction. A pinned active
        version stays active.

        Returns its number, from 1. The replies' weights come with the digest of those that they
        were adapted from, or neither. Numbers in `figures` that JSON doesn't have (NaN, infinity)
        are stored as null. The job that `lease` is for is done in the same transaction, with
        `outcome`. `decided_on` is what the domain ran on when `activate` was decided.

        Raises LeaseError, having stored nothing, where that job isn't the lease's any more, and
        Switched where it runs on something else by now; NotFound, StoreError, StoreUnavailable.
        """
        check_weights(domain, weights, reply_weights, reply_checkpoint_digest)
        figures = checked_figures(domain, figures)
        columns = tables.adapters.c
        with self._database.writing() as connection:
            require_domain(connection, domain)
            now = _in_use(connection, domain)
            if decided_on is not None and decided_on != now:
                raise Switched(
                    f"domain {domain!r} was switched, pinned or unpinned meanwhile; adapt it again"
                )
            last = connection.execute(
                sa.select(sa.func.max(columns.version)).where(columns.domain == domain)
            ).scalar()
            version = (last or 0) + 1
            connection.execute(
                sa.insert(tables.adapters).values(
                    domain=domain,
                    version=version,
                    weights=bytes(weights),
                    digest=bytes_digest(weights),
                    support_digest=support_digest,
                    checkpoint_digest=checkpoint_digest,
                    figures=figures,
                    created_at=datetime.now(timezone.utc),
                    reply_weights=None if reply_weights is None else bytes(reply_weights),
                    reply_digest=None if reply_weights is None else bytes_digest(reply_weights),
                    reply_checkpoint_digest=reply_checkpoint_digest,
                )
            )
            if activate and not now.pinned:
                switch(connection, domain, version)
                self._database.changed(connection, [domain])
            if lease is not None:
                finish_job(connection, lease, version=version, outcome=outcome)
        return version

    def in_use(self, domain: str) -> InUse:
        """What `domain` runs on. Raises NotFound, StoreUnavailable."""
        with self._database.reading() as connection:
            require_domain(connection, domain)
            return _in_use(connection, domain)

    def activate(self, domain: str, version: Optional[int]) -> None:
        """Switch `domain` to a stored version, even from a pinned one; None for none of them, the
        checkpoint as shipped.

        Raises NotFound, StoreUnavailable, and CheckpointError if the version's weights aren't what
        was stored.
        """
        self._activate(domain, version)

    def _activate(
        self, domain: str, version: Optional[int], instead_of: Optional[int] = None
    ) -> bool:
        """As `activate`; False, and nothing done, where another than `instead_of` is active now."""
        if version is not None:  # versions never change, so this holds in the transaction too
            self.get(domain, version)
            self.reply(domain, version)
        with self._database.writing() as connection:
            if version is None:
                require_domain(connection, domain)
            else:
                require_version(connection, domain, version)
            now = active_version(connection, domain)
            if instead_of not in (None, now):
                return False
            if now != version:
                switch(connection, domain, version)
                self._database.changed(connection, [domain])
        return True

    def rollback(self, domain: str) -> int:
        """Switch back to the version older than the active one that was made active last.

        Returns its number. Raises NotFound if there is none, and as `activate`.
        """
        while True:
            with self._database.reading() as connection:
                require_domain(connection, domain)
                now = active_version(connection, domain)
                before = None if now is None else version_before(connection, domain, now)
            if before is None:
                alone = f"version {now}, and none before it was active"
                than = "no version" if now is None else alone
                raise NotFound(
                    f"domain {domain!r} runs on {than}; `rasa-onramp versions list {domain}` shows "
                    "those it has, `rasa-onramp versions activate` switches to any"
                )
            if self._activate(domain, before, instead_of=now):
                return before  # else another was made active meanwhile

    def switch_warning(self, domain: str, before: Optional[int]) -> Optional[str]:
        """What to know after `domain` was switched from the version `before`, in one line; None for
        nothing. Raises StoreUnavailable.
        """
        columns = tables.adapters.c
        with self._database.reading() as connection:
            now = active_version(connection, domain)
            query = sa.select(columns.checkpoint_digest).distinct()
            of_both = query.where(columns.domain == domain, columns.version.in_((before, now)))
            if len(connection.execute(of_both).all()) < 2:
                return None
        return (
            f"version {now} was made from another checkpoint than version {before}: a bot with "
            f"the latter's abstains from {domain} until it is given the former's"
        )

    def pin(self, domain: str, version: int) -> None:
        """Keep a version: `collect` leaves it, and while it is active `add` doesn't switch from it.

        Raises NotFound, StoreUnavailable.
        """
        with self._database.writing() as connection:
            require_version(connection, domain, version)
            if not is_pinned(connection, domain, version):
                pin(connection, domain, version)

    def unpin(self, domain: str, version: int) -> None:
        """Undo `pin`. Raises NotFound, StoreUnavailable."""
        with self._database.writing() as connection:
            require_version(connection, domain, version)
            unpin(connection, domain, version)

    def collect(self, domain: str, keep: int, *, dry_run: bool = False) -> Tuple[int, ...]:
        """Delete the versions of `domain` that are neither among the `keep` newest, nor active, nor
        pinned, nor, with `keep` above 1, what `rollback` goes to; with `dry_run` only find them.
        Returns their numbers.

        Raises NotFound, ConfigError, StoreUnavailable.
        """
        if keep < 1:  # the newest stays, so that no number is given twice
            raise ConfigError(f"{keep} versions can't be kept; keep 1 or more")
        columns = tables.adapters.c
        if dry_run:
            with self._database.reading() as connection:
                require_domain(connection, domain)
                return superfluous(connection, domain, keep)
        with self._database.writing() as connection:
            require_domain(connection, domain)
            found = superfluous(connection, domain, keep)
            for number in found:  # a list of a thousand is more than old SQLite takes
                same = sa.and_(columns.domain == domain, columns.version == number)
                connection.execute(sa.delete(tables.adapters).where(same))
        return found

    def active(self, domain: str) -> Optional[AdapterVersion]:
        """The version that `domain` runs on, None if it has none.

        Raises NotFound, StoreError, StoreUnavailable, and CheckpointError if the weights aren't
        what was stored.
        """
        active = tables.active_adapters.c
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(*TRACKER).join(tables.active_adapters).where(active.domain == domain)
            ).first()
            if row is None:
                require_domain(connection, domain)
                return None
        return version_of(row)

    def get(self, domain: str, version: int) -> AdapterVersion:
        """One version. Raises as `active` does."""
        columns = tables.adapters.c
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(*TRACKER).where(columns.domain == domain, columns.version == version)
            ).first()
            if row is None:
                require_version(connection, domain, version)
        return version_of(row)

    def reply(self, domain: str, version: int) -> Optional[ReplyAdapter]:
        """What a version writes replies with, None if it has no such part. Raises as `active`."""
        columns = tables.adapters.c
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(
                    columns.reply_weights, columns.reply_digest, columns.reply_checkpoint_digest
                ).where(columns.domain == domain, columns.version == version)
            ).first()
            if row is None:
                require_version(connection, domain, version)
        weights, digest, checkpoint_digest = row
        if weights is None and digest is None:
            return None
        what = f"the reply part of adapter version {version} of domain {domain!r}"
        check_digest(weights or b"", digest or "nothing", what, domain)
        return ReplyAdapter(domain, version, weights, digest, checkpoint_digest or "")

    def info(self, domain: str, version: int) -> AdapterInfo:
        """One version without its weights. Raises as `versions` does."""
        columns = tables.adapters.c
        with self._database.reading() as connection:
            row = connection.execute(
                INFOS.where(columns.domain == domain, columns.version == version)
            ).first()
            if row is None:
                require_version(connection, domain, version)
        return info_of(row)

    def versions(self, domain: str) -> Tuple[AdapterInfo, ...]:
        """All versions of `domain`, oldest first, without weights. Raises NotFound,
        StoreError, StoreUnavailable.
        """
        columns = tables.adapters.c
        with self._database.reading() as connection:
            rows = connection.execute(
                INFOS.where(columns.domain == domain).order_by(columns.version)
            ).all()
            if not rows:
                require_domain(connection, domain)
        return tuple(map(info_of, rows))


def _in_use(connection: Connection, domain: str) -> InUse:
    version = active_version(connection, domain)
    return InUse(version, is_pinned(connection, domain, version))
