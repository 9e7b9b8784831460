"""Rasa's own SQL tracker store: the table `events`, read and never written.

It is read in short pieces by key, not in one long query: a running bot that writes to it is never
kept waiting, and memory holds one piece, however large the table is.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, List, Optional, Tuple

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import Engine, Row

from rasa_onramp.errors import ConfigError, StoreUnavailable
from rasa_onramp.store.connect import connecting, parse_any_url, shown, sqlite_file
from rasa_onramp.store.failures import first_line, is_there, wrapped

__all__ = ["RasaEvents"]

_PIECE = 1000

_EVENTS = sa.table(
    "events",
    sa.column("id", sa.Integer),
    sa.column("sender_id", sa.String),
    sa.column("type_name", sa.String),
    sa.column("data", sa.Text),
)


class RasaEvents:
    """The tracker store at an SQLAlchemy URL. Connects when first used.

    `name` shows the URL without its password. Raises ConfigError for a URL that can't be used, or
    whose driver isn't installed.
    """

    def __init__(self, url: str):
        parsed = parse_any_url(url)
        self.name = shown(parsed)
        self._file = sqlite_file(parsed)
        try:
            parsed, arguments = connecting(parsed)
            engine = sa.create_engine(
                parsed, future=True, hide_parameters=True, connect_args=arguments
            )
        except (exc.ArgumentError, ImportError) as error:
            raise ConfigError(
                f"no driver for databases of kind {parsed.drivername!r} is installed; install the "
                "one that the bot uses (psycopg2-binary, mysqlclient, …)"
            ) from error
        # No transaction outlives its statement.
        self._engine: Engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def senders(self) -> Iterator[str]:
        """The ids of all conversations, sorted as the database sorts. Raises StoreUnavailable."""
        column = _EVENTS.c.sender_id
        query = sa.select(column).distinct().order_by(column).limit(_PIECE)
        last: Optional[str] = None
        while True:
            piece = self._rows(query if last is None else query.where(column > last))
            for row in piece:
                yield row.sender_id
            if len(piece) < _PIECE:
                return
            last = piece[-1].sender_id

    def count(self) -> int:
        """How many conversations there are. Raises StoreUnavailable."""
        (row,) = self._rows(sa.select(sa.func.count(_EVENTS.c.sender_id.distinct()).label("n")))
        return int(row.n)

    def events(self, sender: str) -> Iterator[Tuple[int, str, Optional[str]]]:
        """The events of one conversation, in order: the row's id, the event's type, and the event
        as JSON. Raises StoreUnavailable.
        """
        columns = _EVENTS.c
        query = (
            sa.select(columns.id, columns.type_name, columns.data)
            .where(columns.sender_id == sender)
            .order_by(columns.id)  # as Rasa does: times aren't unique
            .limit(_PIECE)
        )
        last: Optional[int] = None
        while True:
            piece = self._rows(query if last is None else query.where(columns.id > last))
            for row in piece:
                yield row.id, row.type_name, row.data
            if len(piece) < _PIECE:
                return
            last = piece[-1].id

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _rows(self, query: sa.sql.Select) -> List[Row]:
        if self._file is not None and not is_there(self._file):
            raise StoreUnavailable(  # connecting would make an empty file
                f"there is no file {self._file}; give the path of the bot's tracker store"
            )
        with self._errors(), self._engine.connect() as connection:
            return connection.execute(query).all()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with wrapped(self._engine):
                yield
        except exc.SQLAlchemyError as error:
            raise StoreUnavailable(
                f"the tracker store at {self.name} can't be read ({first_line(error)}); see that "
                "the URL is right and that it names a database in which Rasa keeps its events"
            ) from error
