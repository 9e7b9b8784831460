"""What databases say when something is wrong, turned into one line and what to do about it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from sqlalchemy import exc
from sqlalchemy.engine import Engine

from rasa_onramp.errors import StoreBusy, StoreError, StoreReadOnly, StoreUnavailable
from rasa_onramp.store.cells import BadCell
from rasa_onramp.store.connect import WAIT_SECONDS

__all__ = ["first_line", "is_there", "not_initialised", "translated", "wrapped"]


@contextmanager
def wrapped(engine: Engine) -> Iterator[None]:
    """Raise SQLAlchemy's errors only. A connection that is lost as its isolation level is set, or
    set back when it returns to the pool, raises the driver's own.
    """
    driver = engine.dialect.dbapi.Error
    try:
        yield
    except driver as error:
        raise exc.DBAPIError.instance(None, None, error, driver, dialect=engine.dialect) from error


@contextmanager
def translated(store: str, engine: Engine, waited: Optional[float] = None) -> Iterator[None]:
    """Raise StoreError or StoreUnavailable for errors of the database; `store` names it, `waited`
    says for how many seconds other writers were, by default WAIT_SECONDS.
    """
    try:
        with wrapped(engine):
            yield
    except exc.SQLAlchemyError as error:
        sqlite = engine.dialect.name == "sqlite"
        raise _explain(error, store, waited, sqlite) from error
    except (ValueError, OverflowError) as error:  # drivers raise these as they are
        if not isinstance(error, (UnicodeError, OverflowError)) and "NUL" not in str(error):
            raise
        raise StoreError(
            f"the store at {store} can't look for what no database holds ({type(error).__name__}: "
            "halves of surrogate pairs, NUL characters, numbers of more than 64 bits); check what "
            "is asked for"
        ) from error
    except BadCell as error:
        raise StoreError(
            f"the store at {store} holds {error}; another program wrote it: restore a backup, or "
            "delete what it belongs to and import or adapt anew"
        ) from error


def is_there(file: Path) -> bool:
    """Whether there is such a file. Raises StoreUnavailable where this user may not know."""
    try:
        return file.exists()
    except OSError as error:
        raise StoreUnavailable(
            f"{file} can't be looked at ({error.strerror}); give this user the right to its folder"
        ) from error


def not_initialised(store: str) -> StoreUnavailable:
    """There are no tables of ours in the database."""
    return StoreUnavailable(
        f"the store at {store} hasn't been created yet; create it with `rasa-onramp init`"
    )


def first_line(error: exc.SQLAlchemyError) -> str:
    """What the driver says: its later lines are hints and the statement."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).strip().split("\n")[0].split()).rstrip(".;")


def _explain(
    error: exc.SQLAlchemyError, store: str, waited: Optional[float], store_is_file: bool
) -> StoreError:
    original = getattr(error, "orig", None) or error
    said = first_line(error)
    code = getattr(original, "pgcode", None) or ""
    # what SQLite says; a server's words may be a user's or a host's name ("rasa_readonly")
    low = said.lower() if store_is_file else ""

    if code == "42P01" or "no such table" in low:
        return not_initialised(store)
    if code == "42703" or "no such column" in low or "has no column named" in low:
        return StoreUnavailable(
            f"the store at {store} has tables of another version ({said}); "
            "upgrade it with `rasa-onramp init`"
        )
    if code == "3F000":
        return StoreUnavailable(
            f"the store at {store} names a PostgreSQL schema that isn't there ({said}); "
            "CREATE SCHEMA NAME AUTHORIZATION USER, then `rasa-onramp init`"
        )
    if isinstance(error, exc.TimeoutError) and not store_is_file:
        return StoreUnavailable(
            f"all connections of this process to the store at {store} are in use ({said}); try "
            "again, or see that the database answers"
        )
    if code == "55P03" or "is locked" in low or isinstance(error, exc.TimeoutError):
        waited = WAIT_SECONDS if waited is None else waited
        writing = f"has been writing to the store at {store} for {waited:g} s"
        if not waited:
            writing = f"is writing to the store at {store}"
        return StoreBusy(f"another process {writing}; try again when it is done")
    if code == "42501" and _only_reads(error):
        return StoreUnavailable(
            f"the store at {store} can't be read ({said}); give this user the right to read its "
            "tables, or name another store"
        )
    if code in ("42501", "25006") or "readonly" in low:
        return StoreReadOnly(
            f"the store at {store} can't be written to ({said}); "
            "give this user the right to write, or name another store"
        )
    if code.startswith("53") or "disk is full" in low:
        return StoreUnavailable(
            f"the database at {store} is out of room ({said}); free some and try again"
        )
    if code.startswith("54"):
        return StoreError(
            f"the database at {store} can't hold what it was given ({said}); nothing was changed: "
            "shorten it"
        )
    if code == "XX001" or "malformed" in low or "not a database" in low:
        return StoreUnavailable(
            f"the file or database at {store} is damaged or not a database ({said}); "
            "restore it from a backup, or move it away and create a new store with "
            "`rasa-onramp init`"
        )
    if "unable to open" in low and os.path.exists(store) and not os.access(store, os.R_OK):
        return StoreUnavailable(
            f"this user may not read the store at {store}; run as its owner, or chown it"
        )
    lost = getattr(error, "connection_invalidated", False)
    if lost or isinstance(error, (exc.OperationalError, exc.InterfaceError)):
        return StoreUnavailable(
            f"the store at {store} can't be reached ({said}); "
            "see that the database runs and that its URL is right"
        )
    return StoreError(
        f"the database at {store} refused ({said}); "
        "nothing was changed: please report this with the command that caused it"
    )


def _only_reads(error: exc.SQLAlchemyError) -> bool:
    """Whether what was refused is a query that takes no lock, for which one has to be able to
    write.
    """
    statement = (getattr(error, "statement", None) or "").upper()
    return statement.startswith("SELECT") and "FOR UPDATE" not in statement
