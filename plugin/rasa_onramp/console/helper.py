"""Long work beside the bot: commands of `rasa-onramp`, each a process of its own, one at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Callable, Deque, Dict, Mapping, Optional, Sequence, Tuple

from rasa_onramp.errors import OnrampError
from rasa_onramp.logs import logger_for, traceback_of
from rasa_onramp.provenance import code_digest

__all__ = ["Helper", "Surroundings"]

logger = logger_for(__name__)

_PROGRAM = "rasa_onramp.cli"

#: Seconds that a process has to end when the bot stops.
_PATIENCE = 5.0

#: How much of what a failed process said is read, from its end.
_SAID = 4096


@dataclass(frozen=True)
class Surroundings:
    """What commands are run with: environment variables, and options of each command by name."""

    environment: Mapping[str, str]
    options: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _Task:
    name: str
    command: str
    arguments: Tuple[str, ...]
    wait: float
    needed: Callable[[], bool]


class Helper:
    """Runs what it is asked for, in order. Thread-safe.

    `surroundings` is asked for them each time, as they change with the bot's model. Once the code
    is another than it was at first, as after an upgrade, nothing is run any more.
    """

    def __init__(self, surroundings: Callable[[], Surroundings]):
        self._surroundings = surroundings
        self._code = code_digest()
        self._tasks: Deque[_Task] = deque()
        self._failures: Dict[str, str] = {}
        self._process: Optional[subprocess.Popen] = None
        self._thread: Optional[threading.Thread] = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def ask(
        self,
        name: str,
        command: str,
        *arguments: str,
        wait: float = 0.0,
        needed: Callable[[], bool] = lambda: True,
    ) -> None:
        """Run `rasa-onramp COMMAND ARGUMENTS` when what was asked for before is done, `wait`
        seconds later, if it is `needed` then; once, however often it is asked for under the same
        `name` until then.
        """
        with self._lock:
            self._failures.pop(name, None)
            # what runs already may have looked for work before there was any
            if self._closed.is_set() or any(task.name == name for task in list(self._tasks)[1:]):
                return
            self._tasks.append(_Task(name, command, arguments, wait, needed))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="onramp-console-helper", daemon=True
                )
                self._thread.start()

    def busy(self, name: str) -> bool:
        """Whether something was asked for under this name and isn't done."""
        with self._lock:
            return any(task.name == name for task in self._tasks)

    def failure(self, name: str) -> Optional[str]:
        """Why what was last done under this name failed, in one line; None if it didn't."""
        with self._lock:
            return self._failures.get(name)

    def close(self) -> None:
        """End the process that runs, and start no other."""
        self._closed.set()
        with self._lock:
            process, thread = self._process, self._thread
        if process is not None:
            process.terminate()
        if thread is not None:
            thread.join(_PATIENCE)
        if process is not None and process.poll() is None:
            process.kill()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._thread = None
                    return
                task = self._tasks[0]
            failure, more = None, {}
            try:
                if not self._closed.wait(task.wait) and task.needed():
                    failure = self._run(task)
            except OSError as error:
                failure = f"it can't be started ({error.strerror})"
            except OnrampError as error:
                failure = str(error)
            except Exception as error:  # else nothing would ever run again
                failure, more = type(error).__name__, {"traceback": traceback_of(error)}
            with self._lock:
                self._tasks.popleft()
                if failure is not None and not self._closed.is_set():
                    self._failures[task.name] = failure
                    said = f"{task.name} failed: {failure}"
                    logger.error("onramp.console.task_failed", event_info=said, **more)

    def _run(self, task: _Task) -> Optional[str]:
        """Run a task to its end. Returns why it failed, None if it didn't."""
        if code_digest() != self._code:  # the weights would be made for another checkpoint
            return "rasa-onramp was upgraded while this bot ran; restart the bot first"
        found = self._surroundings()
        options = found.options.get(task.command, ())
        with TemporaryFile() as said:
            with self._lock:
                if self._closed.is_set():
                    return None
                self._process = process = subprocess.Popen(
                    [sys.executable, "-m", _PROGRAM, task.command, *options, *task.arguments],
                    env=dict(found.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                )
            code = process.wait()
            with self._lock:
                self._process = None
            if code == 0:
                return None
            said.seek(max(0, said.seek(0, 2) - _SAID))
            lines = said.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"the process ended with code {code}"
