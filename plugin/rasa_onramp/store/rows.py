"""Reading and writing domains and dialogues as rows, inside a transaction that others opened."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import NotFound, StoreError
from rasa_onramp.near_names import nearest
from rasa_onramp.store import tables
from rasa_onramp.store.digest import schema_digest
from rasa_onramp.store.serialise import (
    schema_from_json,
    schema_to_json,
    turn_from_json,
    turn_to_json,
)

__all__ = [
    "NAMED",
    "Known",
    "delete_dialogues",
    "domain_names",
    "forget_embeddings",
    "known_dialogues",
    "read_dialogues",
    "read_schema",
    "require_dialogues",
    "require_domain",
    "require_schemas",
    "write_dialogues",
    "write_schemas",
]

#: Up to how many domains are named in a query: of more, all at once are read quicker.
NAMED = 256


def require_domain(connection: Connection, domain: str) -> None:
    """Raise NotFound if there is no such domain."""
    name = tables.domains.c.name
    if connection.execute(sa.select(name).where(name == domain)).first() is not None:
        return
    names = domain_names(connection)
    near = nearest(domain, names)
    mend = (
        f"did you mean {near!r}?"
        if near
        else "`rasa-onramp domains` lists those there are, `rasa-onramp import` adds one"
    )
    raise NotFound(f"the store has no domain {domain!r}; {mend}")


def read_schema(connection: Connection, domain: str) -> Schema:
    """The schema of `domain`. Raises NotFound, StoreError."""
    require_domain(connection, domain)
    schema = sa.select(tables.domains.c.schema).where(tables.domains.c.name == domain)
    return schema_from_json(connection.execute(schema).scalar(), f"the schema of domain {domain!r}")


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


def require_schemas(connection: Connection, schemas: Mapping[str, Schema]) -> None:
    """Raise StoreError unless the domains have these schemas."""
    column = tables.domains.c
    for name, schema in schemas.items():
        query = sa.select(column.digest).where(column.name == name)
        if connection.execute(query).scalar() != schema_digest(schema):
            raise StoreError(
                f"the schema of domain {name!r} was changed or deleted meanwhile; run this again"
            )


class Known(NamedTuple):
    """What the table has of a dialogue: digest, place in the order of import, review."""

    digest: str
    position: int
    review: Optional[str]


def known_dialogues(connection: Connection, domains: Iterable[str]) -> Dict[Tuple[str, str], Known]:
    """The dialogues that these domains have, by domain and id."""
    columns = tables.dialogues.c
    known = {}
    for domain in domains:
        query = sa.select(columns.id, columns.digest, columns.position, columns.review)
        for row in connection.execute(query.where(columns.domain == domain)):
            known[domain, row.id] = Known(row.digest, row.position, row.review)
    return known


def write_dialogues(
    connection: Connection,
    added: List[Tuple[Dialogue, Dict[str, Any]]],
    replaced: List[Tuple[Dialogue, Dict[str, Any]]],
) -> None:
    """Write some dialogues, each with its row of the table `dialogues`. What people labelled in
    those that are replaced goes, and so does what is left of one that another program deleted
    without its turns.
    """
    dialogues, turns, labels = tables.dialogues, tables.turns, tables.labels
    if added:
        connection.execute(sa.insert(dialogues), [row for _, row in added])
    ids: Dict[str, List[str]] = {}
    for dialogue, _ in (*added, *replaced):
        ids.setdefault(dialogue.domain, []).append(dialogue.id)
    for domain, names in ids.items():
        for table in (turns, labels):
            clear = sa.delete(table).where(table.c.domain == domain, table.c.dialogue.in_(names))
            connection.execute(clear)
    if replaced:
        key = sa.and_(
            dialogues.c.domain == sa.bindparam("the_domain"),
            dialogues.c.id == sa.bindparam("the_id"),
        )
        changing = ("split", "digest", "updated_at", "review")
        update = sa.update(dialogues).where(key).values({n: sa.bindparam(n) for n in changing})
        keys = [{"the_domain": row["domain"], "the_id": row["id"]} for _, row in replaced]
        values = [{name: row[name] for name in changing} for _, row in replaced]
        connection.execute(update, [{**k, **v} for k, v in zip(keys, values)])
    lines = [
        {"domain": d.domain, "dialogue": d.id, "position": place, **turn_to_json(turn)}
        for d, _ in (*added, *replaced)
        for place, turn in enumerate(d.turns)
    ]
    if lines:
        connection.execute(sa.insert(turns), lines)


def require_dialogues(connection: Connection, domain: str, ids: Iterable[str]) -> None:
    """Raise NotFound if there is no such domain, or it lacks one of these dialogues."""
    require_domain(connection, domain)
    column = tables.dialogues.c
    there = set(connection.execute(sa.select(column.id).where(column.domain == domain)).scalars())
    for name in ids:
        if name not in there:
            near = nearest(name, there)
            mend = f"did you mean {near!r}?" if near else "the table `dialogues` has all ids"
            raise NotFound(f"domain {domain!r} has no dialogue {name!r}; {mend}")


def delete_dialogues(connection: Connection, domain: str, ids: Iterable[str]) -> None:
    """Delete these dialogues of `domain`, with their labels, and what was kept of the embeddings of
    what is said in it.
    """
    dialogues = tables.dialogues
    key = sa.and_(dialogues.c.domain == domain, dialogues.c.id == sa.bindparam("the_id"))
    connection.execute(sa.delete(dialogues).where(key), [{"the_id": name} for name in ids])
    forget_embeddings(connection, domain)


def forget_embeddings(connection: Connection, domain: str) -> None:
    """Delete what was kept of the embeddings of what is said in `domain`."""
    embeddings = tables.embeddings
    connection.execute(sa.delete(embeddings).where(embeddings.c.domain == domain))


def read_dialogues(
    connection: Connection,
    domain: str,
    split: Optional[str] = None,
    waiting: Optional[bool] = None,
) -> Tuple[Dialogue, ...]:
    """The dialogues of a domain, in order of import; none if there is no such domain. Of one split
    only if given (those without one are support), and only those that wait for labels or only the
    others.
    """
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
        query = query.where(sa.func.coalesce(dialogues.split, "support") == split)
    if waiting is not None:
        waits = sa.func.coalesce(dialogues.review, "") == tables.WAITING
        query = query.where(waits if waiting else sa.not_(waits))
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
