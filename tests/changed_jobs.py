"""Jobs in the store as time or others would have left them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from rasa_onramp.store import Store, tables
from rasa_onramp.store.job_rows import clock

__all__ = ["change_job", "lapse", "time_of"]


def lapse(store: Store) -> None:
    """As if the unfinished job's owner hadn't been heard of for an hour."""
    change_job(store, lease_until=time_of(store) - timedelta(hours=1))


def time_of(store: Store) -> datetime:
    """What time it is, by the store's clock."""
    with store._database.reading() as connection:
        return clock(connection)


def change_job(store: Store, **values: Any) -> None:
    """Change the row of the unfinished job."""
    unfinished = tables.jobs.c.state.in_(tables.UNFINISHED)
    with store._database.marking() as connection:
        done = connection.execute(sa.update(tables.jobs).where(unfinished).values(**values))
        assert done.rowcount == 1
