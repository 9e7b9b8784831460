"""Real Rasa programs for tests: `rasa train`, `rasa run` and the others, each a process of its own.

Servers listen on free ports of the loopback interface, and end with the tests however they end.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from command_line import SOURCE
from servers import free_port, wait_for

__all__ = ["ActionServer", "Bot", "Outcome", "RasaServer", "ask", "end", "stop_all"]

#: Seconds that a program may take, on a slow machine that does other things as well.
PATIENCE = 600.0
_PR_SET_PDEATHSIG = 1  # from Linux's prctl.h

_opener = build_opener(ProxyHandler({}))  # loopback only, whatever proxy is set


@dataclass(frozen=True)
class Outcome:
    """What a program left behind; `text` is all that it printed."""

    code: int
    text: str


@dataclass(frozen=True)
class Bot:
    """A bot's folder, and the environment that its programs run in."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def copy(cls, source: Path, folder: Path, *names: str, **environment: str) -> Bot:
        """The bot in `source`, or those files and folders of it, copied to a new `folder`."""
        folder.mkdir(parents=True)
        for path in [source / name for name in names] or sorted(source.iterdir()):
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=ignored)
            else:
                shutil.copy(path, folder / path.name)
        return cls(folder, environment)

    def with_environment(self, **changes: Optional[str]) -> Bot:
        """The same bot with variables set, or with None unset."""
        merged = {**self.environment, **changes}
        return Bot(self.folder, {name: text for name, text in merged.items() if text is not None})

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the only `old` in a file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def keep_conversations(self) -> None:
        """Have the bot keep its conversations in a file of its folder, tracker.db."""
        path = self.folder / "endpoints.yml"
        kept = "\ntracker_store:\n  type: SQL\n  dialect: sqlite\n  db: tracker.db\n"
        path.write_text(path.read_text(encoding="utf-8") + kept, encoding="utf-8")

    def begin(
        self, *command: str, output: Any = subprocess.PIPE, module: str = "rasa"
    ) -> subprocess.Popen:
        """Start `python -m rasa COMMAND` in the bot's folder."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *command],
            cwd=self.folder,
            env=_environment(self.environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def run(self, *command: str, input: str = "", module: str = "rasa") -> Outcome:
        """Run `python -m rasa COMMAND` to its end."""
        return end(self.begin(*command, module=module), input)

    def onramp(self, *command: str) -> str:
        """Run `rasa-onramp COMMAND`, which must work; returns what it printed."""
        done = self.run(*command, module="rasa_onramp.cli")
        assert done.code == 0, done.text
        return done.text


def end(process: subprocess.Popen, input: str = "") -> Outcome:
    """Wait for a program that `Bot.begin` started."""
    try:
        output, _ = process.communicate(input.encode(), timeout=PATIENCE)
    finally:
        _kill(process)
    return Outcome(process.returncode, output.decode("utf-8", errors="replace"))


class _Server:
    """A server process; its output is in a file."""

    def __init__(self, bot: Bot, name: str, command: Sequence[str]):
        self.port = free_port()
        self._file = bot.folder / f"{name}.log"
        with self._file.open("ab") as output:
            self.process = bot.begin(*command, "--port", str(self.port), output=output)

    def log(self) -> str:
        """What it printed so far."""
        return self._file.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End it with all that it started."""
        stop_all([self])

    def _terminate(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def _end(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        _kill(self.process)

    def _wait(self, ready: Callable[[], bool]) -> None:
        def ready_or_gone() -> bool:
            return self.process.poll() is not None or ready()

        wait_for(ready_or_gone, seconds=PATIENCE)
        assert self.process.poll() is None, self.log()


class ActionServer(_Server):
    """`rasa run actions`."""

    def __init__(self, bot: Bot, actions: str = "actions"):
        super().__init__(bot, "actions", ["run", "actions", "--actions", actions])

    def wait(self) -> None:
        """Wait until it answers."""
        self._wait(lambda: ask(f"http://127.0.0.1:{self.port}/health") is not None)


class RasaServer(_Server):
    """`rasa run --enable-api` with the REST channel."""

    def __init__(self, bot: Bot):
        command = ["run", "--enable-api", "--interface", "127.0.0.1"]
        super().__init__(bot, "server", command)
        self.url = f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Wait until its model is loaded."""
        self._wait(lambda: bool((ask(f"{self.url}/status") or {}).get("model_file")))

    def say(self, sender: str, text: str) -> List[str]:
        """Send a message over REST; the bot's replies."""
        body = {"sender": sender, "message": text}
        answers = ask(f"{self.url}/webhooks/rest/webhook", body, seconds=60)
        assert answers is not None, self.log()
        return [answer["text"] for answer in answers]

    def tracker(self, sender: str) -> Dict[str, Any]:
        """The conversation's tracker, with all events."""
        tracker = ask(f"{self.url}/conversations/{sender}/tracker?include_events=ALL", seconds=60)
        assert tracker is not None, self.log()
        return tracker

    def understood(self, sender: str) -> Dict[str, Any]:
        """What OnrampStateTracker left on the conversation's last message, taken back or not."""
        said = [e for e in self.tracker(sender)["events"] if e["event"] == "user"]
        return said[-1]["parse_data"]["onramp"]

    def actions(self, sender: str) -> List[str]:
        """The actions run since the conversation's last message, without listening."""
        done: List[str] = []
        for event in self.tracker(sender)["events"]:
            if event["event"] == "user":
                done = []
            elif event["event"] == "action" and event["name"] != "action_listen":
                done.append(event["name"])
        return done


def stop_all(servers: Sequence[_Server]) -> None:
    """End servers with all that they started, at the same time."""
    for server in servers:
        server._terminate()
    for server in servers:
        server._end()


def ask(url: str, body: Any = None, *, seconds: float = 2.0) -> Any:
    """The JSON that an address answers with; None if it doesn't answer."""
    data = json.dumps(body).encode() if body is not None else None
    request = Request(url, data, {"Content-Type": "application/json"})
    try:
        with _opener.open(request, timeout=seconds) as response:
            return json.load(response)
    except (URLError, OSError, ValueError):
        return None


def _environment(changes: Mapping[str, str]) -> Dict[str, str]:
    """This process's environment without our own settings; with compiled modules kept, which a
    dozen imports of TensorFlow would otherwise compile again each.
    """
    ours = ("RASA_ONRAMP_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {
        **kept,
        "PYTHONPATH": str(SOURCE),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "ignore",
        **changes,
    }


def _kill(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _end_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
