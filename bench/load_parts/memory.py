"""The memory of a server and of all that it started, over time (Linux)."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from typing import List, Sequence, Tuple

__all__ = ["Watch", "growth", "resident_mb"]

#: Seconds between two looks.
_EVERY = 1.0


class Watch:
    """Samples (time.monotonic(), megabytes) of a process in a thread of its own, until closed."""

    def __init__(self, pid: int):
        self.samples: List[Tuple[float, float]] = []
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.samples.append((time.monotonic(), resident_mb(self._pid)))
            if self._ended.wait(_EVERY):
                return


def resident_mb(pid: int) -> float:
    """Megabytes of a process and its descendants that are in memory now."""
    total = 0
    waiting = [pid]
    while waiting:
        process = Path("/proc") / str(waiting.pop())
        try:
            status = (process / "status").read_text(encoding="ascii", errors="replace")
            waiting += [
                int(child)
                for task in (process / "task").iterdir()
                for child in (task / "children").read_text(encoding="ascii").split()
            ]
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in status.splitlines() if "VmRSS:" in line)
    return total / 1024


def growth(samples: Sequence[Tuple[float, float]], start: float, end: float) -> float:
    """By what share memory grew from `start` to `end`: medians of the first and the last tenth."""
    tenth = (end - start) / 10
    first = [mb for at, mb in samples if start <= at <= start + tenth]
    last = [mb for at, mb in samples if end - tenth <= at <= end]
    return statistics.median(last) / statistics.median(first) - 1
