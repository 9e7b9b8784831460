"""A real Redis server for a test session, on a loopback port, that keeps nothing on disk.

Uses the machine's `redis-server`. Without it tests that need one are skipped, with the reason;
under CI (CI=true) they fail.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from needed import lacking
from servers import free_port

__all__ = ["redis_url"]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running server's first database."""
    program = shutil.which("redis-server")
    if program is None:
        lacking("no Redis server (`redis-server`) on this machine; install one")
    folder = tmp_path_factory.mktemp("redis")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program, "--port", str(port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--dir", str(folder)),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, port, folder / "log")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    """Until it answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(7) == b"+PONG\r\n":
                    return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Redis: {error}\n{log.read_text()}") from error
        time.sleep(0.05)
