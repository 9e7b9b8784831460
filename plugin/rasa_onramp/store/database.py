"""Transactions on the store's database: reading ones, writing ones that queue up, migrations."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Hashable, Iterable, Iterator, Optional, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.errors import OnrampError, StoreUnavailable
from rasa_onramp.store import tables
from rasa_onramp.store.connect import (
    BRIEF_MILLISECONDS,
    WAIT_SECONDS,
    make_engine,
    parse_url,
    shown,
    sqlite_file,
)
from rasa_onramp.store.failures import is_there, not_initialised, translated
from rasa_onramp.store.unchanged import Watch

__all__ = ["Database"]

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number, as long as no other program takes the same advisory lock in the same database.
_MIGRATION_LOCK = 7_243_072_161
#: How long an upgrade waits on PostgreSQL for who uses a table; everybody else waits behind it.
_UPGRADE_SECONDS = 5


class Database:
    """A database by URL. Connects when first used; every error is one of errors.py's."""

    def __init__(self, url: str):
        parsed = parse_url(url)
        self.name = shown(parsed)
        self._file = sqlite_file(parsed)
        self._engine = make_engine(parsed)
        self._writer = self._engine.execution_options(onramp_write=True)
        self._reader = self._probe = self._engine
        self._postgresql = parsed.get_backend_name() == "postgresql"
        if self._postgresql:
            # A reader's statements all see one moment, as SQLite's do in a transaction.
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._probe = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._watch = None if self._file is None else Watch(self._file)
        self._known: Optional[Tuple[Hashable, int]] = None  # the revision as of a look of it
        self._checked = False
        self._found_ours = False  # once at least

    @property
    def remote(self) -> bool:
        """Whether it is a server's."""
        return self._postgresql

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the store. Raises StoreUnavailable."""
        with self._errors(waited=0.0), self._reader.connect() as connection:
            self._check(connection)
            yield connection

    @contextmanager
    def writing(self, *, brief: bool = False) -> Iterator[Connection]:
        """A transaction that changes the store: all of it, or nothing if an error leaves the block.

        Writers queue up: each takes the same lock first, so they can't deadlock, and one waits at
        most WAIT_SECONDS, or a `brief` moment, for another. Raises StoreUnavailable.
        """
        with self._changing(BRIEF_MILLISECONDS if brief else None) as connection:
            if self._postgresql:
                connection.execute(sa.select(tables.revision.c.value).with_for_update())
            yield connection

    @contextmanager
    def marking(self) -> Iterator[Connection]:
        """As `writing`, but on PostgreSQL it doesn't queue up behind an import that takes long: for
        what changes a row or two of a table whose other writers do the same. Raises
        StoreUnavailable.
        """
        with self._changing() as connection:
            yield connection

    @contextmanager
    def sparing(self) -> Iterator[Connection]:
        """As `marking`, for optional writes: fails at once instead of waiting for another writer.

        Raises StoreUnavailable, where there is another writer too.
        """
        with self._changing(0) as connection:
            yield connection

    @contextmanager
    def _changing(self, wait: Optional[int] = None) -> Iterator[Connection]:
        """`wait` is in milliseconds; see make_engine for which there are."""
        writer = self._writer.execution_options(onramp_wait=wait)
        waited = None if wait is None else wait / 1000
        with self._errors(waited), writer.begin() as connection:
            self._check(connection)
            if self._postgresql:
                # 0 would be no limit
                limit = f"{WAIT_SECONDS}s" if wait is None else f"{max(10, wait)}ms"
                connection.execute(sa.select(sa.func.set_config("lock_timeout", limit, True)))
            yield connection

    def try_writing(self) -> None:
        """Begin a change, and take it back. Raises StoreUnavailable if none can be made."""
        with self.writing() as connection:
            self.changed(connection, ())
            connection.rollback()

    def changed(self, connection: Connection, domains: Iterable[str]) -> None:
        """Raise the revision, in the writing transaction that changed these domains."""
        now, changes = tables.revision.c.value, tables.changes
        connection.execute(sa.update(tables.revision).values(value=now + 1))
        value = connection.execute(sa.select(now)).scalar_one()
        rows = [{"domain": name, "revision": value} for name in sorted(set(domains))]
        if rows:
            connection.execute(
                sa.delete(changes).where(changes.c.domain == sa.bindparam("the_domain")),
                [{"the_domain": row["domain"]} for row in rows],
            )
            connection.execute(sa.insert(changes), rows)

    def revision(self) -> int:
        """What `Store.revision` says: at most one query. Raises StoreUnavailable."""
        seen = self._watch.look() if self._watch is not None and self._checked else None
        known = self._known  # once: another thread may forget it
        if seen is not None and known is not None and known[0] == seen:
            return known[1]
        with self._errors(waited=0.0), self._probe.connect() as connection:
            self._check(connection)
            found = int(connection.execute(sa.select(tables.revision.c.value)).scalar_one())
        # looked at before it was read: a change in between is found the next time
        self._known = None if seen is None else (seen, found)
        return found

    def journal(self) -> Optional[str]:
        """What `Store.journal` says. Raises StoreUnavailable."""
        if self._file is None:
            return None
        with self.reading() as connection:
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())

    def upgrade(self) -> None:
        """Create the tables, or bring older ones up to date, in one transaction.

        Does nothing where they are up to date. An SQLite file's folder is made too;
        the file can be read by this user alone.
        Raises StoreUnavailable; StoreBusy where a table stays in use, as by a backup.
        """
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreUnavailable(
                    f"the folder {self._file.parent} can't be made ({error.strerror}); "
                    "name a folder that this user may write to"
                ) from error
            with suppress(OSError):  # it is there already; or what SQLite says of it counts
                # what people said to the bot is for this user's eyes
                os.close(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        waited = _UPGRADE_SECONDS if self._postgresql else None
        with translated(self.name, self._engine, waited):
            if self._file is not None:
                self._use_write_ahead_log()
            with self._writer.begin() as connection:
                if self._postgresql:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                    wait = f"{_UPGRADE_SECONDS}s"
                    connection.execute(sa.select(sa.func.set_config("lock_timeout", wait, True)))
                self._migrate(connection)
        self._checked = self._found_ours = True

    def close(self) -> None:
        """Close every connection. The object works again if used again, unless in memory."""
        self._engine.dispose()

    @contextmanager
    def _errors(self, waited: Optional[float] = None) -> Iterator[None]:
        if self._file is not None and not is_there(self._file):
            raise not_initialised(self.name)  # connecting would make an empty file
        try:
            with translated(self.name, self._engine, waited):
                yield
        except OnrampError:
            self._checked = False
            raise

    def _check(self, connection: Connection) -> None:
        """That the tables are the ones that this code knows, when first used and after each error.
        Newer ones are no reason for a process to stop that began with its own.
        """
        if self._checked:
            return
        found = connection.execute(sa.select(tables.version.c.version_num)).scalar()
        if found is None:
            raise not_initialised(self.name)
        if not self._found_ours:
            self._refuse_newer(found)
        if found in tables.REVISIONS[:-1]:
            raise StoreUnavailable(
                f"the store at {self.name} is of an older version ({found}, this program's is "
                f"{tables.REVISIONS[-1]}); upgrade it with `rasa-onramp init`"
            )
        self._checked = self._found_ours = True

    def _refuse_newer(self, found: str) -> None:
        if found not in tables.REVISIONS:
            raise StoreUnavailable(
                f"the store at {self.name} is of a newer version ({found}) than this program knows "
                f"({tables.REVISIONS[-1]}); install the version of rasa-onramp that made it"
            )

    def _migrate(self, connection: Connection) -> None:
        present = set(sa.inspect(connection).get_table_names())
        if tables.VERSION_TABLE in present:
            found = connection.execute(sa.select(tables.version.c.version_num)).scalar()
            if found is not None:
                self._refuse_newer(found)
            if found == tables.REVISIONS[-1]:
                return
        else:
            foreign = sorted(present & set(tables.metadata.tables))
            if foreign:
                raise StoreUnavailable(
                    f"the database at {self.name} has another program's table {foreign[0]!r}; "
                    "name a database, or a PostgreSQL schema (?options=-csearch_path=NAME), of "
                    "its own for the store"
                )
        # Imported here because only `init` needs it, and it takes a while.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    def _use_write_ahead_log(self) -> None:
        """Readers and a writer at once; the file remembers it. Can't be done in a transaction.
        Where SQLite can't, as on some network file systems, all stays as it is: `journal` tells.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                connection = self._engine.raw_connection()
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    return
                finally:
                    connection.close()
            # SQLite doesn't wait for this lock by itself. raw_connection() translates errors of
            # connecting only; those of the pragma are the driver's own.
            except self._engine.dialect.dbapi.Error as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
