"""Types of columns, strict about what they read: SQLite's hold whatever is put into them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable, Optional

import sqlalchemy as sa

__all__ = ["MOST_BYTES", "BadCell", "UtcDateTime", "Weights"]

#: What the weights of an adapter version may weigh; ours weigh 1 to 10 MB.
MOST_BYTES = 512 * 2**20


class BadCell(Exception):
    """A cell holds what its column can't; failures.py makes it a StoreError."""


class UtcDateTime(sa.types.TypeDecorator):
    """A moment in time, always read back with UTC as its zone (SQLite keeps no zones)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: Optional[datetime], dialect: Any) -> Optional[datetime]:
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: Optional[datetime], dialect: Any) -> Optional[datetime]:
        if value is None:
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=timezone.utc)
        return value.astimezone(timezone.utc)

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Optional[datetime]]:
        read = super().result_processor(dialect, coltype)

        def strict(value: Any) -> Optional[datetime]:
            try:
                return read(value) if read is not None else value
            except (TypeError, ValueError, AttributeError, OverflowError):
                raise BadCell("something that is no time where a time should be") from None

        return strict


class Weights(sa.types.TypeDecorator):
    """The bytes of a file. More than MOST_BYTES are read as none: who writes the database must not
    fill the memory of who reads it.
    """

    impl = sa.LargeBinary
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        return sa.case((sa.func.length(column) <= MOST_BYTES, column), else_=None)

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Optional[bytes]]:
        def strict(value: Any) -> Optional[bytes]:
            # bytes(10**12) would be as many zeros
            if value is None or isinstance(value, (bytes, memoryview)):
                return None if value is None else bytes(value)
            raise BadCell("something that is no bytes where weights should be")

        return strict
