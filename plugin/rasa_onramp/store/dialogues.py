"""Domains and their dialogues, as rows."""

from __future__ import annotations

from contextlib import nullcontext
from typing import (
    Any,
    Collection,
    ContextManager,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
)

import sqlalchemy as sa

from rasa_onramp.dialogue import SPLITS, Corpus, Dialogue, Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.store import tables
from rasa_onramp.store.checks import check_schemas, conflict
from rasa_onramp.store.database import Database
from rasa_onramp.store.digest import dialogue_digest
from rasa_onramp.store.feedback import read_feedback
from rasa_onramp.store.import_buffer import spooled
from rasa_onramp.store.intake import ImportReport, Intake, Progress, checked, take_in
from rasa_onramp.store.leases import start_over
from rasa_onramp.store.rows import (
    NAMED,
    delete_dialogues,
    domain_names,
    known_dialogues,
    read_dialogues,
    read_schema,
    require_dialogues,
    require_domain,
    require_schemas,
    write_schemas,
)
from rasa_onramp.store.serialise import schema_from_json
from rasa_onramp.store.summaries import DomainSummary, Member, summary_of
from rasa_onramp.store.support import corrected_dialogues

__all__ = ["DialogueStore"]

_AS_THEY_ARE = Intake()


class DialogueStore:
    """Domains and dialogues in the database. What it returns are dialogue.py's frozen values."""

    def __init__(self, database: Database):
        self._database = database

    def import_corpus(
        self, corpus: Corpus, progress: Optional[Progress] = None, how: Intake = _AS_THEY_ARE
    ) -> ImportReport:
        """Take in a corpus: all of it, or nothing if there is an error.

        A schema or dialogue that the store has with the same content stays untouched; one with
        the same name or id and other content is replaced, unless a person labelled it; dialogues
        that the corpus lacks stay. Raises StoreError, StoreUnavailable.
        """
        return self.import_dialogues(
            corpus.schemas.values(),
            corpus.dialogues,
            how,
            progress=progress,
            total=len(corpus.dialogues),
        )

    def import_dialogues(
        self,
        schemas: Iterable[Schema],
        dialogues: Iterable[Dialogue],
        how: Intake = _AS_THEY_ARE,
        *,
        progress: Optional[Progress] = None,
        total: Optional[int] = None,
    ) -> ImportReport:
        """As `import_corpus`, of dialogues that needn't be in memory all at once. They are all read
        before anything is written, so that nobody waits for where they come from; what they raise
        leaves the store as it was.
        """
        given = {schema.name: schema for schema in check_schemas(schemas)}
        ready: ContextManager[Iterator[Dialogue]]
        good = checked(dialogues, given)
        ready = nullcontext(good) if isinstance(dialogues, Sequence) else spooled(good)
        with ready as those, self._database.writing() as connection:
            if how.schemas_known:
                require_schemas(connection, given)
            new, before = write_schemas(connection, given)
            taken = take_in(connection, given, those, how, progress, total)
            for old in before:
                corrections = corrected_dialogues(read_feedback(connection, old.name, learned=True))
                held = read_dialogues(connection, old.name)
                conflict(old, given[old.name], held, corrections)
            updated = tuple(schema.name for schema in before)
            changed = {*new, *updated, *taken.domains}
            if how.dry_run:
                connection.rollback()
            elif changed:
                self._database.changed(connection, changed)
        return ImportReport(
            domains=tuple(given),
            updated=updated,
            added=taken.added,
            replaced=taken.replaced,
            unchanged=taken.unchanged,
            kept=taken.kept,
            waiting=taken.waiting,
        )

    def domains(self) -> Tuple[str, ...]:
        """The names of all domains, sorted. Raises StoreUnavailable."""
        with self._database.reading() as connection:
            return domain_names(connection)

    def summary(self, names: Optional[Collection[str]] = None) -> Tuple[DomainSummary, ...]:
        """Every domain at a glance, sorted by name; only those of `names` that there are, if given.
        Raises StoreError, StoreUnavailable.
        """
        if names is not None and len(names) > NAMED:
            chosen = set(names)
            return tuple(summary for summary in self.summary() if summary.name in chosen)
        domains, dialogues = tables.domains.c, tables.dialogues.c
        adapters, active = tables.adapters.c, tables.active_adapters.c
        feedback = tables.feedback.c
        join = tables.domains.outerjoin(
            tables.active_adapters, active.domain == domains.name
        ).outerjoin(
            tables.adapters,
            sa.and_(adapters.domain == active.domain, adapters.version == active.version),
        )

        def among(query: Any, column: Any) -> Any:
            return query if names is None else query.where(column.in_(names))

        with self._database.reading() as connection:
            members: Dict[str, List[Member]] = {}
            query = sa.select(dialogues.domain, dialogues.split, dialogues.digest, dialogues.review)
            for domain, *member in connection.execute(among(query, dialogues.domain)):
                members.setdefault(domain, []).append(Member(*member))
            said: Dict[str, List[str]] = {}
            query = sa.select(feedback.domain, feedback.digest).where(feedback.digest.isnot(None))
            for domain, digest in connection.execute(among(query, feedback.domain)):
                said.setdefault(domain, []).append(digest)
            query = sa.select(
                domains.name,
                domains.schema,
                domains.digest,
                adapters.version,
                adapters.digest.label("adapter_digest"),
                adapters.support_digest,
                adapters.reply_digest,
            ).select_from(join)
            rows = connection.execute(among(query, domains.name)).all()
        summaries = (
            summary_of(row, members.get(row.name, []), said.get(row.name, [])) for row in rows
        )
        return tuple(sorted(summaries, key=lambda summary: summary.name))

    def glance(self, domain: str) -> DomainSummary:
        """One domain at a glance. Raises NotFound, StoreError, StoreUnavailable."""
        while True:
            for summary in self.summary([domain]):
                return summary
            with self._database.reading() as connection:
                require_domain(connection, domain)  # else it was made anew meanwhile

    def remade(self, summaries: Iterable[DomainSummary]) -> Dict[str, int]:
        """By name, of the domains that are stale: the newest version that was made from what they
        are now, and from the active one's checkpoint, where there is one. It isn't the active one.
        Raises StoreUnavailable.
        """
        columns, found = tables.adapters.c, {}
        stale = [each for each in summaries if each.stale]
        with self._database.reading() as connection:
            for each in stale:
                name = each.name
                active = sa.select(columns.checkpoint_digest).where(
                    columns.domain == name, columns.version == each.active_version
                )
                newest = sa.select(sa.func.max(columns.version)).where(
                    columns.domain == name,
                    columns.support_digest == each.support_digest,
                    columns.checkpoint_digest == active.scalar_subquery(),
                )
                version = connection.execute(newest).scalar()
                if version is not None:
                    found[name] = version
        return found

    def schema(self, domain: str) -> Schema:
        """The schema of `domain`. Raises NotFound, StoreError, StoreUnavailable."""
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(tables.domains.c.schema).where(tables.domains.c.name == domain)
            ).first()
            if row is None:
                require_domain(connection, domain)
            return schema_from_json(row.schema, f"the schema of domain {domain!r}")

    def dialogues(
        self, domain: str, split: Optional[str] = None, *, waiting: Optional[bool] = False
    ) -> Tuple[Dialogue, ...]:
        """The dialogues of `domain`, in order of import; of one split ("support", which those
        without a split are too, or "held-out") only if given. `waiting` True gives those that wait
        for labels instead, None all of them.

        Raises NotFound, ConfigError, StoreError, StoreUnavailable.
        """
        if split is not None and split not in SPLITS:
            raise ConfigError(f"no split is called {split!r}; name 'support' or 'held-out'")
        with self._database.reading() as connection:
            found = read_dialogues(connection, domain, split, waiting)
            if not found:
                require_domain(connection, domain)
            return found

    def with_schemas(
        self, domains: Iterable[str], split: Optional[str] = None
    ) -> Tuple[Tuple[Schema, Tuple[Dialogue, ...]], ...]:
        """The schema of each of `domains` and its dialogues, all at one moment; but for that as
        `schema` and `dialogues`.
        """
        with self._database.reading() as connection:
            return tuple(
                (read_schema(connection, name), read_dialogues(connection, name, split, False))
                for name in domains
            )

    def changed_by_hand(self, domain: str) -> Tuple[str, ...]:
        """The ids of those dialogues of `domain`, of those that wait too, whose rows hold something
        else than was given to this store. Raises StoreError for what can't be read, and
        StoreUnavailable.
        """
        with self._database.reading() as connection:
            known = known_dialogues(connection, [domain])
            found = read_dialogues(connection, domain)
        return tuple(d.id for d in found if known[domain, d.id].digest != dialogue_digest(d))

    def ids(self, domain: str) -> FrozenSet[str]:
        """The ids of the dialogues of `domain`, of those that wait too; none where there is no such
        domain. Raises StoreUnavailable.
        """
        columns = tables.dialogues.c
        with self._database.reading() as connection:
            query = sa.select(columns.id).where(columns.domain == domain)
            return frozenset(connection.execute(query).scalars())

    def check_ids(self, domain: str, ids: Iterable[str]) -> None:
        """Raises NotFound unless `domain` has dialogues of all these ids, and StoreUnavailable."""
        with self._database.reading() as connection:
            require_dialogues(connection, domain, ids)

    def delete_dialogues(self, domain: str, ids: Collection[str]) -> None:
        """Delete dialogues of `domain` with their labels: all of them, or none. Its adapter
        versions and feedback stay; a job that runs starts over. Raises NotFound, StoreUnavailable.
        """
        with self._database.writing() as connection:
            require_dialogues(connection, domain, ids)
            if ids:
                delete_dialogues(connection, domain, ids)
                start_over(connection, domain)
                self._database.changed(connection, [domain])

    def delete_domain(self, domain: str) -> None:
        """Delete `domain` with its dialogues, adapter versions and feedback. Raises NotFound,
        StoreUnavailable.
        """
        with self._database.writing() as connection:
            require_domain(connection, domain)
            connection.execute(sa.delete(tables.domains).where(tables.domains.c.name == domain))
            self._database.changed(connection, [domain])

    def changed_since(self, revision: int) -> Tuple[str, ...]:
        """The domains that changed after `revision`, those that were deleted among them.

        Raises StoreUnavailable.
        """
        changes = tables.changes.c
        with self._database.reading() as connection:
            query = sa.select(changes.domain).where(changes.revision > revision)
            return tuple(connection.execute(query).scalars())
