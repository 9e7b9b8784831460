"""Whether an SQLite file is still as it was, a hundred times sooner than by a query."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Hashable, Optional, Tuple

__all__ = ["Watch"]

#: Seconds for which a file that was written to is not relied upon. Clocks of file systems tick in
#: milliseconds, and what was written is to be seen only when the disk has it.
_UNSETTLED = 10.0


class Watch:
    """Watches an SQLite file by its own time of change and that of its write-ahead log: whoever
    commits writes to one of them. Nothing is kept open, so that anybody may put another file in
    its place, and the log ends up in it as soon as nobody reads.
    """

    def __init__(self, file: Path):
        self._files = (file, file.with_name(f"{file.name}-wal"))

    def look(self) -> Optional[Hashable]:
        """Equal to what it was before where nothing was committed since; None where that can't be
        told, as for a while after a change.
        """
        try:
            file, log = (_told_by(each) for each in self._files)
        except OSError:
            return None
        if file is None:
            return None
        changed = file[0] if log is None else max(file[0], log[0])
        return None if time.time_ns() - changed < 1e9 * _UNSETTLED else (file, log)


def _told_by(file: Path) -> Optional[Tuple[int, ...]]:
    """When it was changed (ns), and what else differs between one file and another; None where
    there is none, or nothing in it: readers make and remove an empty log.
    """
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    if found.st_size == 0:
        return None
    return found.st_mtime_ns, found.st_size, found.st_dev, found.st_ino
