"""Whether an SQLite file is still as it was, a hundred times sooner than by a query."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Hashable, List, NamedTuple, Optional, Tuple

__all__ = ["Watch"]


class Watch:
    """Watches an SQLite file by SQLite's own `data_version`, which is another one as soon as any
    other connection, of whatever process, has committed a change. Thread-safe.

    It keeps a connection that reads nothing else and changes nothing, one a process.
    """

    def __init__(self, file: Path):
        self._file = file
        self._lock = threading.Lock()
        self._opened = 0  # times: each connection counts its versions by itself
        self._open: Optional[_Open] = None
        self._inherited: List[_Open] = []

    def look(self) -> Optional[Hashable]:
        """Equal to what it was before where nothing was committed since; None where that can't be
        told.
        """
        with self._lock, suppress(OSError, sqlite3.Error):
            found = os.stat(self._file)
            # another file may have taken the place of the one that is open, and a connection must
            # not be used in a process that was forked from its own
            place = (found.st_dev, found.st_ino, os.getpid())
            if self._open is None or self._open.place != place:
                self._close()
                self._opened += 1
                address = f"{self._file.as_uri()}?mode=rw"  # never makes a file
                connection = sqlite3.connect(address, uri=True, timeout=1, check_same_thread=False)
                self._open = _Open(connection, place)
            (version,) = self._open.connection.execute("PRAGMA data_version").fetchone()
            # a backup that was copied over the file was committed by nobody
            return (self._opened, version, found.st_mtime_ns, found.st_size)
        return None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._open is None:
            return
        if self._open.place[-1] == os.getpid():
            self._open.connection.close()
        else:  # not even closing it is safe, so it stays
            self._inherited.append(self._open)
        self._open = None


class _Open(NamedTuple):
    connection: sqlite3.Connection
    place: Tuple[int, int, int]
