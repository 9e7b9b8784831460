"""Embeddings of what a domain's users say, kept so that no process computes them a second time."""

from __future__ import annotations

from typing import Collection, Dict, Mapping, NamedTuple, Optional

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from rasa_onramp.store import tables
from rasa_onramp.store.database import Database

__all__ = ["EmbeddingStore", "Embeddings"]


class Embeddings(NamedTuple):
    """`rows` is the bytes of a file, None where that is too large to be one of ours; `digest` says
    what of, by which encoder.
    """

    digest: str
    rows: Optional[bytes]


class EmbeddingStore:
    """The embeddings in the database, one file a domain. They count as no change."""

    def __init__(self, database: Database):
        self._database = database

    def read(self, domains: Collection[str]) -> Dict[str, Embeddings]:
        """Those that there are of these domains. Raises StoreError, StoreUnavailable."""
        columns = tables.embeddings.c
        query = sa.select(columns.domain, columns.digest, columns.rows)
        with self._database.reading() as connection:
            found = connection.execute(query.where(columns.domain.in_(domains)))
            return {row.domain: Embeddings(row.digest, row.rows) for row in found}

    def keep(self, found: Mapping[str, Embeddings]) -> None:
        """Keep these in place of those before; none of domains that were deleted meanwhile.

        A bot's messages wait for this, so it doesn't wait for other writers. Two bots may keep the
        same at once. Raises StoreUnavailable, where there are other writers too.
        """
        table, names = tables.embeddings, tables.domains.c.name
        with self._database.sparing() as connection:
            there = set(
                connection.execute(sa.select(names).where(names.in_(list(found)))).scalars()
            )
            # in one order, whoever writes: no two wait for each other
            rows = [{"domain": d, **found[d]._asdict()} for d in sorted(there)]
            if rows:
                dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
                insert = dialect.insert(table)
                new = {name: insert.excluded[name] for name in Embeddings._fields}
                connection.execute(
                    insert.on_conflict_do_update(index_elements=["domain"], set_=new), rows
                )
