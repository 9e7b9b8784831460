"""Few-shot curves: how good a domain's tracker is by the number of its support dialogues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Mapping, Optional, Tuple

import sqlalchemy as sa

from rasa_onramp.errors import StoreError
from rasa_onramp.plain_json import plain
from rasa_onramp.store import tables
from rasa_onramp.store.database import Database
from rasa_onramp.store.rows import require_domain

__all__ = ["Curve", "CurveStore"]


@dataclass(frozen=True)
class Curve:
    """A domain's curve, perhaps not measured to its end.

    `points` are figures on `held_out` dialogues by number of support dialogues (`shots`), means
    over `seeds` orders of the support dialogues; `wanted` are the numbers that were to be measured.
    `support_digest` and `checkpoint_digest` say of what, as a version's do. `measured_at` is set by
    the store.
    """

    domain: str
    wanted: Tuple[int, ...]
    points: Tuple[Mapping[str, Any], ...]
    held_out: int
    seeds: int
    support_digest: str
    checkpoint_digest: str
    measured_at: Optional[datetime] = None

    @property
    def complete(self) -> bool:
        """Whether all that was wanted is measured."""
        return len(self.points) == len(self.wanted)


class CurveStore:
    """The newest curve of each domain. Thread-safe."""

    def __init__(self, database: Database):
        self._database = database

    def save(self, curve: Curve) -> None:
        """Store a curve in place of the domain's former one. Raises NotFound, StoreUnavailable."""
        table = tables.curves
        row = {
            "domain": curve.domain,
            "wanted": list(curve.wanted),
            "points": plain(curve.points),
            "held_out": curve.held_out,
            "seeds": curve.seeds,
            "support_digest": curve.support_digest,
            "checkpoint_digest": curve.checkpoint_digest,
            "measured_at": datetime.now(timezone.utc),
        }
        with self._database.writing() as connection:
            require_domain(connection, curve.domain)
            connection.execute(sa.delete(table).where(table.c.domain == curve.domain))
            connection.execute(sa.insert(table).values(**row))

    def get(self, domain: str) -> Optional[Curve]:
        """The curve of `domain`, None if none was measured. Raises NotFound, StoreError,
        StoreUnavailable.
        """
        table = tables.curves
        with self._database.reading() as connection:
            row = connection.execute(sa.select(table).where(table.c.domain == domain)).first()
            if row is None:
                require_domain(connection, domain)
                return None
        lists = {name: row._mapping[name] for name in ("wanted", "points")}
        if not all(isinstance(found, list) for found in lists.values()):
            raise StoreError(
                f"the curve of domain {domain!r} isn't one; measure it again with "
                f"`rasa-onramp curve {domain}`"
            )
        fields: Dict[str, Any] = {**row._mapping, **{n: tuple(f) for n, f in lists.items()}}
        return Curve(**fields)
