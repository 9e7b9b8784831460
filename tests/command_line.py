"""Running `rasa-onramp` in tests: in this process through click's runner, or as a real program."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from click.testing import CliRunner

from rasa_onramp.cli.main import cli

__all__ = ["Outcome", "dump", "environment", "invoke", "program", "spawn"]

SOURCE = Path(__file__).resolve().parents[1] / "plugin"


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def invoke(*arguments: Any, input: Optional[str] = None) -> Outcome:
    """Run in this process. An exception that isn't the command's own exit is raised on."""
    result = CliRunner(mix_stderr=False).invoke(cli, [str(a) for a in arguments], input=input)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def program(*arguments: Any) -> List[str]:
    """The command line that runs it as a program, whether it is installed or not."""
    return [sys.executable, "-m", "rasa_onramp.cli", *map(str, arguments)]


def spawn(*arguments: Any, input: str = "", encoding: str = "utf-8") -> Outcome:
    """Run it as a program. Its input is sent in `encoding`."""
    done = subprocess.run(
        program(*arguments),
        input=input.encode(encoding),
        env=environment(),
        capture_output=True,
        check=False,
        timeout=240,
    )
    return Outcome(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))


def environment(**changes: str) -> Dict[str, str]:
    """This process's environment, with the package on the path."""
    return {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "utf-8", **changes}


def dump(path: Path) -> List[str]:
    """All that an SQLite file holds, as SQL."""
    with sqlite3.connect(path) as connection:
        found = list(connection.iterdump())
    connection.close()
    return found
