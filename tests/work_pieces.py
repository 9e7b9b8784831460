"""What processes do in test_processes.py: they import it, so it can't stand in the test itself."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Tuple

import torch

from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.model import StateTracker

__all__ = ["dies", "meets", "refuses", "takes_time", "who"]


def who(tracker: StateTracker, piece: int) -> tuple:
    """(piece, the process, its threads, its tracker's digest)."""
    return piece, os.getpid(), torch.get_num_threads(), tracker.digest


def meets(tracker: StateTracker, piece: Tuple[str, int]) -> tuple:
    """What `who` gives, once a second process has come to the folder that the piece names.

    The first pieces take longest.
    """
    folder, number = Path(piece[0]), piece[1]
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < deadline, "no second process came"
        time.sleep(0.02)
    time.sleep(max(0.0, 0.3 - number / 10))
    return who(tracker, number)


def dies(tracker: StateTracker, piece: int) -> int:
    """Ends as the kernel ends a process for want of memory."""
    if piece == 1:
        os.kill(os.getpid(), 9)
    return piece


def refuses(tracker: StateTracker, piece: int) -> int:
    """Raises an error of ours."""
    if piece == 1:
        raise CheckpointError("this tracker is tired; let it rest")
    return piece


def takes_time(tracker: StateTracker, piece: int) -> int:
    """The first piece is done at once, the others in an hour."""
    time.sleep(3600 * bool(piece))
    return piece
