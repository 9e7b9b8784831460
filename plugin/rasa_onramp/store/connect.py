"""From a database URL to an SQLAlchemy engine set up for it. No message here shows a password."""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Any, Dict, Optional, Tuple, Union

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.pool import NullPool, QueuePool

from rasa_onramp.errors import ConfigError
from rasa_onramp.home import HOME_VARIABLE, user_directory

__all__ = [
    "BRIEF_MILLISECONDS",
    "HOME_VARIABLE",
    "URL_VARIABLE",
    "WAIT_SECONDS",
    "connecting",
    "default_url",
    "make_engine",
    "parse_any_url",
    "parse_url",
    "shown",
    "sqlite_file",
    "sqlite_url",
]

URL_VARIABLE = "RASA_ONRAMP_DATABASE_URL"
#: How long a writer waits for another one to finish.
WAIT_SECONDS = 60
#: How long one waits whom somebody else waits for in turn.
BRIEF_MILLISECONDS = 1500
#: How long a reader of an SQLite file waits where it has to, as for a VACUUM: a bot's messages wait
#: with it.
READ_MILLISECONDS = 3000
CONNECT_SECONDS = 10
#: After so many seconds without a sign of life from its machine, a server counts as lost.
LOST_SECONDS = 30

#: What psycopg2 is told unless the URL says it: the system's own defaults let a query wait for a
#: quarter of an hour, or two hours.
_PSYCOPG2 = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "rasa-onramp",
    "keepalives_idle": LOST_SECONDS // 3,
    "keepalives_interval": LOST_SECONDS // 6,
    "keepalives_count": 4,
    "tcp_user_timeout": 1000 * LOST_SECONDS,
}

#: What the server is told of the other direction: by its own defaults, a machine that vanished in
#: the middle of a change would keep the lock for two hours. Any role may set these.
_SERVER = (
    f"SET tcp_keepalives_idle = {LOST_SECONDS // 3}; "
    f"SET tcp_keepalives_interval = {LOST_SECONDS // 6}; "
    "SET tcp_keepalives_count = 4"
)
#: The same of an answer that nobody takes, which keepalives don't count for. From version 12 on.
_SERVER_12 = f"{_SERVER}; SET tcp_user_timeout = {1000 * LOST_SECONDS}"

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_EXAMPLE = "postgresql://user:password@host/name or sqlite:///path/to/file.db"


def default_url() -> str:
    """$RASA_ONRAMP_DATABASE_URL, else an SQLite file in $RASA_ONRAMP_HOME or ~/.rasa-onramp.

    Raises ConfigError when there is no home directory to be found.
    """
    if os.environ.get(URL_VARIABLE):
        return os.environ[URL_VARIABLE]
    try:
        home = user_directory()
    except ConfigError as error:
        raise ConfigError(
            f"no home directory to keep the store in; set {HOME_VARIABLE} or {URL_VARIABLE}"
        ) from error
    return sqlite_url(home / "onramp.db")


def sqlite_url(path: Union[str, Path]) -> str:
    """The URL of an SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def parse_url(url: str) -> URL:
    """The URL of a store taken apart. Raises ConfigError, see `parse_any_url`."""
    parsed = parse_any_url(url)
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg2"):
        raise ConfigError(
            f"databases of kind {parsed.drivername!r} aren't supported; "
            f"write the database URL like {_EXAMPLE}"
        )
    return parsed


def parse_any_url(url: str) -> URL:
    """`url`, of any kind of database, taken apart. SQLite files become absolute. Raises
    ConfigError, without the URL in it: what can't be parsed may have its password anywhere.
    """
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError, TypeError):
        raise ConfigError(f"the database URL can't be parsed; write it like {_EXAMPLE}") from None
    server = parsed.get_backend_name() != "sqlite"
    if "@" in (parsed.host or "") or (server and str(url).count("@") > 1):
        raise ConfigError(
            "the database URL has an '@' too many; write special characters in the password (and "
            "an '@' anywhere else) as %40 and so on (urllib.parse.quote)"
        )
    if parsed.drivername == "postgres":  # what several hosting services hand out
        parsed = parsed.set(drivername="postgresql")
    name = parsed.database
    if parsed.get_backend_name() == "sqlite" and name not in (None, "", ":memory:"):
        assert name is not None
        if parsed.query or name.startswith("file:"):
            raise ConfigError(
                "SQLite's own URI options aren't supported; write sqlite:///path/to/file.db"
            )
        try:  # of a link its file: SQLite's log is beside that
            parsed = parsed.set(database=os.path.realpath(Path(name).expanduser()))
        except (KeyError, ValueError, RuntimeError) as error:  # where ~ is nobody's, too
            raise ConfigError(f"the database's path is none ({error}); write another") from error
    return parsed


def sqlite_file(url: URL) -> Optional[Path]:
    """The file that `url` names; None for in-memory SQLite and for other databases."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(url.database)


def shown(url: URL) -> str:
    """`url` for people to read: a path for SQLite, and any password masked."""
    path = sqlite_file(url)
    if path is not None:
        return str(path)
    # Drivers take passwords there too, under names and inside of values of their own.
    query = dict.fromkeys(url.query, "***")
    return url.set(query=query).render_as_string(hide_password=True)


def connecting(url: URL) -> Tuple[URL, Dict[str, Any]]:
    """`url` without those of its query parameters that are secrets, and `connect_args`: these, as
    SQLAlchemy masks a password in a URL's usual place only, and how long psycopg2 waits for a
    server. Raises SQLAlchemy's ArgumentError for a kind of database that it doesn't know.
    """
    secrets = {key: value for key, value in url.query.items() if _is_secret(key)}
    ours = _PSYCOPG2 if url.get_driver_name() == "psycopg2" else {}
    arguments = {key: value for key, value in ours.items() if key not in url.query}
    return url.difference_update_query(secrets), {**arguments, **secrets}


def _is_secret(parameter: str) -> bool:
    return "pass" in parameter.lower()


def make_engine(url: URL) -> Engine:
    """An engine for `url`; nothing is connected yet. Raises ConfigError if its driver is missing.

    Transactions of connections with the execution option `onramp_write` take SQLite's write lock
    when they begin, so that none can fail half way for want of it; `onramp_wait` says for how many
    milliseconds they wait for it: none, or BRIEF_MILLISECONDS.
    """
    options = {
        "future": True,
        "hide_parameters": True,  # they would put users' texts in logs and tracebacks
        "json_serializer": _encode,
        "json_deserializer": _loads,
    }
    if url.get_backend_name() == "postgresql":
        try:
            return _postgresql(url, options)
        except ImportError:
            raise ConfigError(
                "PostgreSQL needs the driver psycopg2; pip install 'rasa-onramp[postgresql]'"
            ) from None
    return _sqlite(url, options)


def _postgresql(url: URL, options: Any) -> Engine:
    url, arguments = connecting(url)
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,  # a connection that a server's restart cut is replaced before its use
        client_encoding="utf8",
        connect_args=arguments,
        **options,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.autocommit = True  # or the next rollback would take it back
        with connection.cursor() as cursor:
            cursor.execute(_SERVER if connection.server_version < 120_000 else _SERVER_12)
        connection.autocommit = False

    if hasattr(os, "register_at_fork"):
        # A forked worker must not speak on its parent's connections.
        alive = weakref.ref(engine)

        def forget_connections() -> None:
            forked = alive()
            if forked is not None:
                forked.dispose(close=False)

        os.register_at_fork(after_in_child=forget_connections)
    return engine


def _sqlite(url: URL, options: Any) -> Engine:
    pool: Any
    if sqlite_file(url) is None:
        # One connection, which is the database; threads take turns.
        pool = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
        pool["pool_timeout"] = WAIT_SECONDS
    else:
        # A new connection each time costs under a millisecond, survives forks, and follows
        # a file that was deleted and made anew.
        pool = {"poolclass": NullPool}
    engine = sa.create_engine(
        url,
        connect_args={"timeout": WAIT_SECONDS, "check_same_thread": False},
        **pool,
        **options,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions, not Python's sqlite3
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what people said is gone when it is

    @event.listens_for(engine, "begin")
    def begin(connection: sa.engine.Connection) -> None:
        options = connection.get_execution_options()
        write, wait = options.get("onramp_write", False), options.get("onramp_wait")
        if wait == 0:
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        elif wait is not None:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {BRIEF_MILLISECONDS}")
        elif not write:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {READ_MILLISECONDS}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _loads(text: str) -> Any:
    # What isn't JSON goes on as it is: serialise.py refuses it with the row's name.
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text
