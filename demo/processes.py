"""The programs that the demo starts, and that are all gone when it ends."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from console import DemoFailed

__all__ = ["Processes", "free_port"]

#: Seconds between asking a program to end and ending it.
GRACE = 10.0

_LOWEST_PORT, _FIRST_OUTGOING_PORT = 10_000, 32_768

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on.

    It is none of those that Linux hands to outgoing connections: now and then one of them would
    have taken it before the server is up.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_FIRST_OUTGOING_PORT - _LOWEST_PORT)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Processes:
    """Starts programs, each in a process group of its own, with output in a log file.

    Leaving the `with` block ends all groups, however it is left.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]):
        self._folder = folder
        self._environment: Dict[str, str] = dict(environment)
        self._running: List[Tuple[str, subprocess.Popen]] = []

    def __enter__(self) -> Processes:
        # `kill` and a closed terminal end the demo like Ctrl-C does
        for number in _ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
                signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        for number in _ENDING:  # a second Ctrl-C must not leave servers behind
            signal.signal(number, signal.SIG_IGN)
        self.stop_all()

    def run(
        self, command: Sequence[str], *, log: Optional[str] = None, errors: bool = False
    ) -> None:
        """Run a program to its end; its output is shown, or goes to the file `log`.

        With `errors`, what it writes to stderr (progress bars) is shown in any case.

        Raises DemoFailed if it doesn't end well.
        """
        name = Path(command[0]).name
        began = self._start(name, command, log, errors)
        try:
            code = began.wait()
        finally:
            self._stop(began)
        if code:
            tail = self._tail(log) if log else ""
            raise DemoFailed(f"{' '.join(command)} ended with exit code {code}{tail}")

    def start(self, name: str, command: Sequence[str]) -> int:
        """Start a server; its output goes to NAME.log. Returns its pid, for `wait_for`."""
        return self._start(name, command, f"{name}.log").pid

    def wait_for(self, pid: int, *, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until a server is `ready()`.

        Raises DemoFailed if it ends, or isn't ready after so many seconds.
        """
        name, process = next(entry for entry in self._running if entry[1].pid == pid)
        log = f"{name}.log"
        deadline = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None:
                raise DemoFailed(f"{name} ended with code {process.returncode}{self._tail(log)}")
            if time.monotonic() > deadline:
                raise DemoFailed(f"{name} wasn't ready within {seconds:.0f} s{self._tail(log)}")
            time.sleep(0.2)

    def finish(self, pid: int) -> None:
        """Wait for the end of a program that was started; DemoFailed if it isn't a good one."""
        name, process = next(entry for entry in self._running if entry[1].pid == pid)
        code = process.wait()
        self._stop(process)
        if code:
            raise DemoFailed(f"{name} ended with exit code {code}{self._tail(f'{name}.log')}")

    def alive(self, pid: int) -> bool:
        """Whether the server with this pid still runs."""
        return any(p.pid == pid and p.poll() is None for _, p in self._running)

    def stop_all(self) -> None:
        """End everything that still runs, the last started first."""
        while self._running:
            self._stop(self._running[-1][1])

    def _start(
        self, name: str, command: Sequence[str], log: Optional[str], errors: bool = False
    ) -> subprocess.Popen:
        with ExitStack() as files:
            output = files.enter_context((self._folder / log).open("ab")) if log else None
            try:
                process = subprocess.Popen(
                    list(command),
                    env=self._environment,
                    cwd=self._folder.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if output and not errors else None,
                    start_new_session=True,
                )
            except OSError as error:
                raise DemoFailed(f"{command[0]} can't be started ({error.strerror})") from None
        self._running.append((name, process))
        return process

    def _stop(self, process: subprocess.Popen) -> None:
        """End a program with all that it started."""
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        _signal(process, signal.SIGKILL)
        process.wait()
        self._running = [entry for entry in self._running if entry[1] is not process]

    def _tail(self, log: str) -> str:
        path = self._folder / log
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        return "".join([f"; the end of {path}:", *(f"\n     {line}" for line in lines)])


def _signal(process: subprocess.Popen, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
