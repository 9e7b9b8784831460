"""A real PostgreSQL server for a test session, thrown away after it.

Uses the binaries of the machine (`postgres` and `initdb`, on the path or where Debian puts them).
Without them tests that need a server are skipped, with the reason; under CI (CI=true) they fail.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import pytest

from needed import lacking
from servers import free_port

__all__ = ["PASSWORD", "PostgresServer", "binaries", "postgres_server", "postgres_url"]

USER = "onramp"
PASSWORD = "s3cret-and-never-shown"
_PR_SET_PDEATHSIG = 1  # from Linux's prctl.h
_DATABASE_NUMBERS = itertools.count(1)


class PostgresServer:
    """A server on a loopback port, with passwords on. All it does may be repeated."""

    def __init__(self, binaries: Path):
        self._binaries = binaries
        self._user = _unprivileged_user()
        self._folder = Path(tempfile.mkdtemp(prefix="onramp-postgres-"))
        self._process: Optional[subprocess.Popen] = None
        self._log = self._folder / "log"
        self.port = free_port()
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD)
        if self._user is not None:
            os.chown(password_file, *self._user)
            os.chown(self._folder, *self._user)
        # --no-sync, and fsync off below: the files needn't survive the machine.
        subprocess.run(
            [
                str(binaries / "initdb"),
                *("-D", str(self._folder / "data"), "-U", USER, "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            preexec_fn=self._prepare,
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        import psycopg2

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    *("-D", str(self._folder / "data"), "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                    *("-c", "fsync=off"),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C at the tests must not stop it before they end
                preexec_fn=self._prepare,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connect().close()
                return
            except psycopg2.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL: {error}\n{self._log.read_text()}") from error
                time.sleep(0.05)

    def stop(self, *, immediately: bool = False) -> None:
        """Stop the server, cutting its connections; `immediately`: without tidying up, so that it
        recovers from its log when it is started again.
        """
        if self._process is not None:
            # "immediate shutdown", or "fast shutdown"
            self._process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it and its connections be, but have none of them do anything."""
        assert self._process is not None
        # the server first, so that it begins no other
        processes = [self._process.pid]
        os.kill(self._process.pid, signal.SIGSTOP)
        processes += _children(self._process.pid)
        for process in processes[1:]:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def create_database(self) -> str:
        """Make an empty database; returns its URL, password included."""
        name = f"test{next(_DATABASE_NUMBERS)}"
        self._execute(f"CREATE DATABASE {name}")
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Delete a database, whoever is connected to it."""
        self._execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def remove(self) -> None:
        """Stop the server and delete its files."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # without tidying up
            self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _execute(self, statement: str) -> None:
        connection = self._connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()

    def _connect(self) -> Any:
        import psycopg2

        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres"
        )

    def _prepare(self) -> None:
        """In the new process: stop being root, and end with the tests however they end."""
        if self._user is not None:
            user, group = self._user
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
        if sys.platform.startswith("linux"):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server, shared by the session's tests."""
    where = binaries()
    if where is None or importlib.util.find_spec("psycopg2") is None:
        what = "server (`postgres` and `initdb`)" if where is None else "driver (psycopg2)"
        lacking(f"no PostgreSQL {what} on this machine; install one")
    server = PostgresServer(where)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database of the test's own, empty."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


def _children(process: int) -> List[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()]


def binaries() -> Optional[Path]:
    """The folder of the server's programs: the path's, else the newest version's."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    return None


def _unprivileged_user() -> Optional[Tuple[int, int]]:
    """User and group to run as where we are root, as whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise RuntimeError("PostgreSQL can't run as root, and there is no user postgres or nobody")
