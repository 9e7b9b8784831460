"""Two processes that train together over gloo, as torchrun would start them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List

from servers import free_port

__all__ = ["run_two"]

_TESTS = Path(__file__).resolve().parent


def run_two(script: str, folder: Path, modules: Path, *, seconds: float) -> None:
    """Run `script` (its argument: `folder`) in two processes that find each other, to their end.

    They import from `modules` and from this folder, too. Fails unless both end well in time.
    """
    port = free_port()
    started: List[subprocess.Popen] = []
    for rank in range(2):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(modules), str(_TESTS), *sys.path]),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, "-W", "ignore", "-c", script, str(folder)]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    said = [process.communicate(timeout=seconds)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], said
