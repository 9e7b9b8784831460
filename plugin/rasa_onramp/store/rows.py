"""Reading and writing domains and dialogues as rows, inside a transaction that others opened."""

from __future__ import annotations

import difflib
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import NotFound
from rasa_onramp.store import tables
from rasa_onramp.store.digest import schema_digest
from rasa_onramp.store.serialise import (
    schema_from_json,
    schema_to_json,
    turn_from_json,
    turn_to_json,
)

__all__ = [
    "Progress",
    "domain_names",
    "known_dialogues",
    "read_dialogues",
    "require_domain",
    "write_dialogues",
    "write_schemas",
]

#: Called with how many dialogues are done, and of how many.
Progress = Callable[[int, int], None]

_BATCH = 200  # dialogues written in one go


def require_domain(connection: Connection, domain: str) -> None:
    """Raise NotFound if there is no such domain."""
    names = domain_names(connection)
    if domain in names:
        return
    near = difflib.get_close_matches(domain, names, n=1)
    mend = (
        f"did you mean {near[0]!r}?"
        if near
        else "`rasa-onramp domains` lists those there are, `rasa-onramp import` adds one"
    )
    raise NotFound(f"the store has no domain {domain!r}; {mend}")


def domain_names(connection: Connection) -> Tuple[str, ...]:
    """The names of all domains, sorted."""
    # Sorted here, because databases sort text each in their own way.
    return tuple(sorted(connection.execute(sa.select(tables.domains.c.name)).scalars()))


def write_schemas(
    connection: Connection, schemas: Mapping[str, Schema]
) -> Tuple[List[str], List[Schema]]:
    """The names of the domains that are new, and the former schemas of those that changed."""
    domains = tables.domains
    new, before = [], []
    for name, schema in schemas.items():
        row = {
            "schema": schema_to_json(schema),
            "digest": schema_digest(schema),
            "updated_at": datetime.now(timezone.utc),
        }
        old = connection.execute(
            sa.select(domains.c.digest, domains.c.schema).where(domains.c.name == name)
        ).first()
        if old is None:
            connection.execute(sa.insert(domains).values(name=name, **row))
            new.append(name)
        elif old.digest != row["digest"]:
            connection.execute(sa.update(domains).where(domains.c.name == name).values(**row))
            before.append(schema_from_json(old.schema, f"the schema of domain {name!r}"))
    return new, before


def known_dialogues(
    connection: Connection, domains: Iterable[str]
) -> Dict[Tuple[str, str], Tuple[str, int]]:
    """(domain, id) → (digest, position) of the dialogues that these domains have."""
    columns = tables.dialogues.c
    known = {}
    for domain in domains:
        for row in connection.execute(
            sa.select(columns.id, columns.digest, columns.position).where(columns.domain == domain)
        ):
            known[domain, row.id] = (row.digest, row.position)
    return known


def write_dialogues(
    connection: Connection,
    added: List[Tuple[Dialogue, Dict[str, Any]]],
    replaced: List[Tuple[Dialogue, Dict[str, Any]]],
    done: int,
    progress: Optional[Progress],
) -> None:
    """Write in batches, telling `progress`; `done` dialogues needed no writing.

    Each dialogue comes with its row of the table `dialogues`.
    """
    total = done + len(added) + len(replaced)
    dialogues, turns = tables.dialogues, tables.turns
    insert = sa.insert(dialogues)
    key = sa.and_(
        dialogues.c.domain == sa.bindparam("the_domain"), dialogues.c.id == sa.bindparam("the_id")
    )
    changing = ("split", "digest", "updated_at")
    update = sa.update(dialogues).where(key).values({n: sa.bindparam(n) for n in changing})
    clear = sa.delete(turns).where(
        turns.c.domain == sa.bindparam("the_domain"), turns.c.dialogue == sa.bindparam("the_id")
    )
    if progress is not None and done:
        progress(done, total)
    for rows, fresh in ((added, True), (replaced, False)):
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            if fresh:
                connection.execute(insert, [row for _, row in batch])
            else:
                keys = [{"the_domain": row["domain"], "the_id": row["id"]} for _, row in batch]
                values = [{name: row[name] for name in changing} for _, row in batch]
                connection.execute(update, [{**k, **v} for k, v in zip(keys, values)])
                connection.execute(clear, keys)
            lines = [
                {"domain": d.domain, "dialogue": d.id, "position": place, **turn_to_json(turn)}
                for d, _ in batch
                for place, turn in enumerate(d.turns)
            ]
            if lines:
                connection.execute(sa.insert(turns), lines)
            done += len(batch)
            if progress is not None:
                progress(done, total)


def read_dialogues(
    connection: Connection, domain: str, split: Optional[str]
) -> Tuple[Dialogue, ...]:
    """The dialogues of a domain, in order of import; none if there is no such domain."""
    dialogues, turns = tables.dialogues.c, tables.turns.c
    # An outer join, because a dialogue without turns is one too.
    join = tables.dialogues.outerjoin(
        tables.turns, sa.and_(turns.domain == dialogues.domain, turns.dialogue == dialogues.id)
    )
    query = (
        sa.select(dialogues.id, dialogues.split, tables.turns)
        .select_from(join)
        .where(dialogues.domain == domain)
        .order_by(dialogues.position, dialogues.id, turns.position)
    )
    if split is not None:
        query = query.where(dialogues.split == split)
    found: Dict[str, Tuple[Optional[str], List[Any]]] = {}
    for row in connection.execute(query).mappings():
        members = found.setdefault(row[dialogues.id], (row[dialogues.split], []))[1]
        if row[turns.position] is not None:
            members.append(
                turn_from_json(
                    {column.name: row[column] for column in turns},
                    f"turn {row[turns.position] + 1} of dialogue {row[dialogues.id]!r} "
                    f"of domain {domain!r}",
                )
            )
    return tuple(
        Dialogue(id=name, domain=domain, turns=tuple(members), split=part)
        for name, (part, members) in found.items()
    )
