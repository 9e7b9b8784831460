"""What tests of servers need: ports, waiting until something has happened, and a small server."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Type

__all__ = ["PATIENCE", "LocalServer", "free_port", "wait_for"]

#: Seconds that anything may take, on a machine that does other things as well.
PATIENCE = 240.0

_LOWEST_PORT = 10_000


class LocalServer:
    """An HTTP server of this process on the loopback interface; `handler` answers."""

    def __init__(self, handler: Type[BaseHTTPRequestHandler]):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on.

    It is none of those that the system hands to outgoing connections (where it says which): a
    server that takes half a minute to start would find it taken by one now and then.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_first_outgoing_port() - _LOWEST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_for(happened: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Return as soon as `happened()`; fail if that takes too long."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"hasn't happened within {seconds:g} s"
        time.sleep(0.02)


def _first_outgoing_port() -> int:
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(setting.read_text().split()[0]) if setting.exists() else 0
    return first if first > _LOWEST_PORT + 1000 else 32_768
