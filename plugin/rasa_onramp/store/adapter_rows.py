"""An adapter version's row: what may be stored in it, and what is read from it, checked against its
digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Optional

import sqlalchemy as sa

from rasa_onramp.errors import CheckpointError, StoreError
from rasa_onramp.plain_json import plain
from rasa_onramp.store import tables
from rasa_onramp.store.cells import MOST_BYTES
from rasa_onramp.store.digest import bytes_digest, canonical_json

__all__ = [
    "INFOS",
    "TRACKER",
    "AdapterInfo",
    "AdapterVersion",
    "ReplyAdapter",
    "check_digest",
    "check_weights",
    "checked_figures",
    "info_of",
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


def check_weights(
    domain: str,
    weights: bytes,
    reply_weights: Optional[bytes],
    reply_checkpoint_digest: Optional[str],
) -> None:
    """Raise StoreError for what is no adapter: empty or too heavy, or half of a replies' part."""
    if not weights or reply_weights == b"":
        raise StoreError(f"the adapter for domain {domain!r} is empty; adapt the domain again")
    if max(len(weights), len(reply_weights or b"")) > MOST_BYTES:
        raise StoreError(
            f"the adapter for domain {domain!r} weighs more than {MOST_BYTES // 2**20} MiB; "
            "adapt fewer layers, or at a lower rank"
        )
    if (reply_weights is None) != (reply_checkpoint_digest is None):
        raise StoreError(
            f"the adapter for domain {domain!r} has reply weights or the digest of what they "
            "were adapted from, not both; give both or neither"
        )


def checked_figures(domain: str, figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures as JSON can hold them (`plain`). Raises StoreError where it can't."""
    figures = plain(figures)
    try:
        canonical_json(figures)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the figures of the adapter for domain {domain!r} aren't plain JSON ({error}); "
            "give numbers, texts, lists and mappings only"
        ) from error
    return figures


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
