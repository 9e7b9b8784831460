"""The real Rasa bot of this repository: trained, served and talked to over REST."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from console import DemoFailed
from processes import Processes, free_port

__all__ = ["Bot"]

#: Seconds that a server may take to start, on a slow machine.
START = 180.0
#: Seconds that a message may take.
REPLY = 60.0
#: A proxy that the environment names is for other hosts than this one.
_DIRECTLY = build_opener(ProxyHandler({}))


class Bot:
    """A Rasa server and its action server, on free ports of the loopback interface: the latter's
    is SANIC_HOST, which `processes` set.
    """

    def __init__(self, processes: Processes, repository: Path, folder: Path):
        self._processes = processes
        self._repository = repository
        self._folder = folder
        self._url = ""
        self._actions = self._port = self._training = 0
        self.pid = 0

    def begin_training(self) -> None:
        """`rasa train` with the repository's own config.yml, domain.yml and data/."""
        here = self._repository
        self._training = self._processes.start(
            "train",
            [
                *(*self._rasa("train"), "--config", str(here / "config.yml")),
                *("--domain", str(here / "domain.yml"), "--data", str(here / "data")),
                *("--out", str(self._folder / "models"), "--fixed-model-name", "demo"),
            ],
        )

    def finish_training(self) -> None:
        """Wait for its end."""
        self._processes.finish(self._training)

    def start_actions(self) -> None:
        """Start the action server, which needs no model; `start` waits until it listens."""
        self._port = free_port()
        self._actions = self._processes.start(
            "actions",
            [*self._rasa("run", "actions"), "--actions", "answers", "--port", str(self._port)],
        )

    def start(self) -> str:
        """`rasa run`, beside the action server; returns the server's address."""
        endpoints = self._folder / "endpoints.yml"
        text = (self._repository / "endpoints.yml").read_text(encoding="utf-8")
        if text.count("localhost:5055") != 1:
            raise DemoFailed("endpoints.yml names no action server at localhost:5055")
        text = text.replace("localhost:5055", f"127.0.0.1:{self._port}")
        endpoints.write_text(text, encoding="utf-8")
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self.pid = self._processes.start(
            "server",
            [
                *(*self._rasa("run"), "--model", str(self._folder / "models" / "demo.tar.gz")),
                *("--endpoints", str(endpoints), "--connector", "rest", "--enable-api"),
                *("--interface", "127.0.0.1", "--port", str(port)),
            ],
        )
        self._processes.wait_for(
            self._actions,
            ready=lambda: _ask(f"http://127.0.0.1:{self._port}/health") is not None,
            seconds=START,
        )
        self._processes.wait_for(
            self.pid,
            ready=lambda: bool((_ask(f"{self._url}/status") or {}).get("model_file")),
            seconds=START,
        )
        return self._url

    def say(self, sender: str, text: str) -> Tuple[List[str], Dict[str, Any]]:
        """Send a message; the bot's replies, and what its tracker then holds in slot `onramp`."""
        body = {"sender": sender, "message": text}
        answers = _ask(f"{self._url}/webhooks/rest/webhook", body, seconds=REPLY)
        if answers is None:
            raise DemoFailed(f"the bot gave no answer; see {self._folder / 'server.log'}")
        tracker = _ask(f"{self._url}/conversations/{sender}/tracker", seconds=REPLY)
        if tracker is None:
            raise DemoFailed(f"no tracker of {sender}; see {self._folder / 'server.log'}")
        # what was understood of this very message; the slot keeps the last one that was ours
        understood = tracker["latest_message"].get("onramp") or {}
        return [str(answer.get("text", "")) for answer in answers], understood

    @staticmethod
    def _rasa(*arguments: str) -> List[str]:
        return [sys.executable, "-m", "rasa", *arguments]


def _ask(url: str, body: Optional[Dict[str, Any]] = None, *, seconds: float = 2.0) -> Any:
    """The JSON that an address answers with; None if it doesn't answer."""
    data = json.dumps(body).encode() if body is not None else None
    request = Request(url, data, {"Content-Type": "application/json"})
    try:
        with _DIRECTLY.open(request, timeout=seconds) as response:
            return json.load(response)
    except (URLError, OSError, ValueError):
        return None
