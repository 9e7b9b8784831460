"""A few processes killed at random moments on SQLite; tests/slow kills more, on PostgreSQL too."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from killing import KINDS, Trial

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes as POSIX does")


@pytest.mark.timeout(900)  # several waits a kill
def test_a_killed_process_loses_nothing_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    trial = Trial(f"sqlite:///{tmp_path / 'onramp.db'}", tmp_path, seed=0)
    for kind in random.Random(1).sample(KINDS, len(KINDS)):
        trial.kill_one(kind)
    trial.close()
