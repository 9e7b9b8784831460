"""Don't take over a job whose lease lapsed only because its owner had to wait for another SQLite
writer.
"""

from __future__ import annotations

import time

from rasa_onramp.store.database import Database

__all__ = ["Grace"]

#: Who waited longer than this for another writer takes no job over in the next seconds: owners
#: waited, too, and each tries again within a second.
_HELD_UP_SECONDS, _SPARED_SECONDS = 0.5, 5.0


class Grace:
    """After this process itself waited long for SQLite, which has one writer at a time, lapsed
    leases count as valid for a few seconds more.
    """

    def __init__(self, database: Database):
        self._database = database
        self._until = 0.0  # by this process's monotonic clock

    def is_over(self, asked: float) -> bool:
        """Whether a lease that has lapsed counts as such, in a transaction that was `asked` for at
        that moment of the monotonic clock.
        """
        now = time.monotonic()
        if not self._database.remote and now - asked > _HELD_UP_SECONDS:
            self._until = now + _SPARED_SECONDS
        return now >= self._until
