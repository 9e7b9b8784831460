"""An adapter version as it is read from its row, checked against its digest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Optional

import sqlalchemy as sa

from rasa_onramp.errors import CheckpointError, StoreError
from rasa_onramp.store import tables
from rasa_onramp.store.digest import bytes_digest

__all__ = [
    "INFOS",
    "TRACKER",
    "AdapterInfo",
    "AdapterVersion",
    "ReplyAdapter",
    "check_digest",
    "info_of",
    "plain",
    "version_of",
]

#: What reading a version for the tracker takes: all but the replies' weights, which weigh most.
TRACKER = [column for column in tables.adapters.c if column.name != "reply_weights"]
#: All versions without their weights.
INFOS = sa.select(
    *(column for column in TRACKER if column.name != "weights"),
    tables.active_adapters.c.version.isnot(None).label("active"),
    tables.pins.c.version.isnot(None).label("pinned"),
    tables.activations.c.at.label("switched_at"),
).select_from(
    tables.adapters.outerjoin(tables.active_adapters)
    .outerjoin(tables.pins)
    .outerjoin(tables.activations)
)


@dataclass(frozen=True)
class AdapterInfo:
    """An adapter version without its weights.

    `digest` is the SHA-256 of the weights, `support_digest` says what it was adapted on (see
    digest.support_digest) and `checkpoint_digest` from which weights; `figures` are the
    measurements that were made of it. `created_at` is in UTC. `reply_digest` and
    `reply_checkpoint_digest` say the same of the replies' weights; None where it has none.
    `active` is the version that the domain runs on; `switched_at` is when it was last switched to,
    None if it never was.
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
    active: bool = False
    pinned: bool = False
    switched_at: Optional[datetime] = None


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


def info_of(row: Any) -> AdapterInfo:
    """The version in a row of INFOS. Raises StoreError."""
    return AdapterInfo(**_fields(row))


def version_of(row: Any) -> AdapterVersion:
    """The version in a row of the columns TRACKER. Raises StoreError, CheckpointError."""
    version = AdapterVersion(**_fields(row))
    what = f"adapter version {version.version} of domain {version.domain!r}"
    check_digest(version.weights or b"", version.digest, what, version.domain)
    return version


def check_digest(weights: bytes, stored: str, what: str, domain: str) -> None:
    """Raise CheckpointError if `weights`, which are `what`, don't have the `stored` digest."""
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


def plain(value: Any) -> Any:
    """`value` with lists for tuples, and None for numbers that JSON doesn't have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
