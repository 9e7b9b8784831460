"""Adapter versions: what adapting a domain made. They never change; the active one is switched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Mapping, Optional, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.errors import CheckpointError, NotFound, StoreError
from rasa_onramp.store import tables
from rasa_onramp.store.database import Database
from rasa_onramp.store.digest import bytes_digest, canonical_json
from rasa_onramp.store.rows import require_domain

__all__ = ["AdapterInfo", "AdapterStore", "AdapterVersion", "ReplyAdapter"]

#: What reading a version for the tracker takes: all but the replies' weights, which weigh most.
_TRACKER = [column for column in tables.adapters.c if column.name != "reply_weights"]
_INFO = [column for column in _TRACKER if column.name != "weights"]


@dataclass(frozen=True)
class AdapterInfo:
    """An adapter version without its weights.

    `digest` is the SHA-256 of the weights, `support_digest` says what it was adapted on (see
    digest.support_digest) and `checkpoint_digest` from which weights; `figures` are the
    measurements that were made of it. `created_at` is in UTC. `reply_digest` and
    `reply_checkpoint_digest` say the same of the replies' weights; None where it has none.
    """

    domain: str
    version: int
    digest: str
    support_digest: str
    checkpoint_digest: str
    figures: Mapping[str, Any]
    created_at: datetime
    reply_digest: Optional[str] = None
    reply_checkpoint_digest: Optional[str] = None


@dataclass(frozen=True)
class AdapterVersion:
    """An adapter version; as AdapterInfo, with the tracker's `weights` as the bytes of a file.

    Those of the replies are read by themselves: AdapterStore.reply.
    """

    domain: str
    version: int
    weights: bytes
    digest: str
    support_digest: str
    checkpoint_digest: str
    figures: Mapping[str, Any]
    created_at: datetime
    reply_digest: Optional[str] = None
    reply_checkpoint_digest: Optional[str] = None


@dataclass(frozen=True)
class ReplyAdapter:
    """The part of an adapter version that writes replies: `weights` as the bytes of a file, their
    SHA-256, and the digest of the weights that they were adapted from.
    """

    domain: str
    version: int
    weights: bytes
    digest: str
    checkpoint_digest: str


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
    ) -> int:
        """Store a new version, and switch to it if `activate`, in one transaction.

        Returns its number, from 1. The replies' weights come with the digest of those that they
        were adapted from, or neither. Numbers in `figures` that JSON doesn't have (NaN, infinity)
        are stored as null. Raises NotFound, StoreError, StoreUnavailable.
        """
        if not weights or reply_weights == b"":
            raise StoreError(f"the adapter for domain {domain!r} is empty; adapt the domain again")
        if (reply_weights is None) != (reply_checkpoint_digest is None):
            raise StoreError(
                f"the adapter for domain {domain!r} has reply weights or the digest of what they "
                "were adapted from, not both; give both or neither"
            )
        figures = _plain(figures)
        try:
            canonical_json(figures)
        except (TypeError, ValueError) as error:
            raise StoreError(
                f"the figures of the adapter for domain {domain!r} aren't plain JSON ({error}); "
                "give numbers, texts, lists and mappings only"
            ) from error
        columns = tables.adapters.c
        with self._database.writing() as connection:
            require_domain(connection, domain)
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
            if activate:
                _switch(connection, domain, version)
                self._database.changed(connection)
        return version

    def activate(self, domain: str, version: Optional[int]) -> None:
        """Switch `domain` to a stored version; None for none of them, the checkpoint as shipped.

        Raises NotFound, StoreUnavailable.
        """
        with self._database.writing() as connection:
            if version is None:
                require_domain(connection, domain)
            else:
                _require_version(connection, domain, version)
            if _active_version(connection, domain) != version:
                _switch(connection, domain, version)
                self._database.changed(connection)

    def active(self, domain: str) -> Optional[AdapterVersion]:
        """The version that `domain` runs on, None if it has none.

        Raises NotFound, StoreError, StoreUnavailable, and CheckpointError if the weights aren't
        what was stored.
        """
        active = tables.active_adapters.c
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(*_TRACKER).join(tables.active_adapters).where(active.domain == domain)
            ).first()
            if row is None:
                require_domain(connection, domain)
                return None
        return _verified(row)

    def get(self, domain: str, version: int) -> AdapterVersion:
        """One version. Raises as `active` does."""
        columns = tables.adapters.c
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(*_TRACKER).where(columns.domain == domain, columns.version == version)
            ).first()
            if row is None:
                _require_version(connection, domain, version)
        return _verified(row)

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
                _require_version(connection, domain, version)
        weights, digest, checkpoint_digest = row
        if weights is None and digest is None:
            return None
        what = f"the reply part of adapter version {version} of domain {domain!r}"
        _check_digest(weights or b"", digest or "nothing", what, domain)
        return ReplyAdapter(domain, version, weights, digest, checkpoint_digest or "")

    def versions(self, domain: str) -> Tuple[AdapterInfo, ...]:
        """All versions of `domain`, oldest first, without weights. Raises NotFound,
        StoreError, StoreUnavailable.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(*_INFO)
                .where(tables.adapters.c.domain == domain)
                .order_by(tables.adapters.c.version)
            ).all()
            if not rows:
                require_domain(connection, domain)
        return tuple(AdapterInfo(**_fields(row)) for row in rows)


def _require_version(connection: Connection, domain: str, version: int) -> None:
    columns = tables.adapters.c
    require_domain(connection, domain)
    numbers = sorted(
        connection.execute(sa.select(columns.version).where(columns.domain == domain)).scalars()
    )
    if version in numbers:
        return
    has = f"it has {', '.join(map(str, numbers))}" if numbers else "it has none yet"
    raise NotFound(
        f"domain {domain!r} has no adapter version {version}; {has}: name one of its versions, "
        f"or make one with `rasa-onramp adapt {domain}`"
    )


def _active_version(connection: Connection, domain: str) -> Optional[int]:
    active = tables.active_adapters.c
    return connection.execute(sa.select(active.version).where(active.domain == domain)).scalar()


def _switch(connection: Connection, domain: str, version: Optional[int]) -> None:
    table = tables.active_adapters
    connection.execute(sa.delete(table).where(table.c.domain == domain))
    if version is not None:
        connection.execute(sa.insert(table).values(domain=domain, version=version))


def _verified(row: Any) -> AdapterVersion:
    version = AdapterVersion(**_fields(row))
    what = f"adapter version {version.version} of domain {version.domain!r}"
    _check_digest(version.weights, version.digest, what, version.domain)
    return version


def _check_digest(weights: bytes, stored: str, what: str, domain: str) -> None:
    found = bytes_digest(weights)
    if found != stored:
        raise CheckpointError(
            f"{what} doesn't match its digest (stored {stored[:12]}, found {found[:12]}); "
            f"make a new one with `rasa-onramp adapt {domain}`"
        )


def _fields(row: Any) -> Mapping[str, Any]:
    fields = dict(row._mapping)
    if not isinstance(fields["figures"], dict):
        raise StoreError(
            f"the figures of adapter version {fields['version']} of domain {fields['domain']!r} "
            f"aren't a JSON object; make a new one with `rasa-onramp adapt {fields['domain']}`"
        )
    return fields


def _plain(value: Any) -> Any:
    """`value` with lists for tuples, and None for numbers that JSON doesn't have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
