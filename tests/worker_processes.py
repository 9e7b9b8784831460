"""Real `rasa-onramp` processes that work on jobs, and waiting for what they do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List

from command_line import environment, program
from rasa_onramp.dialogue import Corpus
from rasa_onramp.store import Job, Store
from rasa_onramp.tracker.checkpoint import save_tracker
from servers import PATIENCE
from tiny_tracker import corpus, tiny_tracker, tokenizer_json

__all__ = ["Program", "assert_adapted_once", "domains", "newest", "running", "tiny_checkpoint"]


class Program:
    """A command that runs. What it printed is kept in a file."""

    def __init__(self, url: str, folder: Path, *arguments: Any, **variables: str):
        self._log = folder / f"{len(list(folder.iterdir()))}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in arguments],
                env=environment(RASA_ONRAMP_DATABASE_URL=url, OMP_NUM_THREADS="1", **variables),
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                # a shell's background commands ignore it, and so would what they start
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )

    def said(self) -> str:
        """All that it printed."""
        return self._log.read_text(encoding="utf-8")

    def events(self) -> List[Dict[str, Any]]:
        """The lines of JSON among that."""
        lines = self.said().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def jobs(self) -> List[Dict[str, Any]]:
        """The attempts at jobs among those."""
        return [event for event in self.events() if event["event"] == "job"]

    def signal(self, number: int) -> None:
        """Send a signal to it alone."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Its exit code, when it is over."""
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill it with all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def running(url: str, folder: Path, *arguments: Any, **variables: str) -> Iterator[Program]:
    """A command that runs and is killed in the end: `rasa-onramp`, where no program is named."""
    command = arguments if os.sep in str(arguments[0]) else program(*arguments)
    started = Program(url, folder, *command, **variables)
    try:
        yield started
    finally:
        started.kill()


def tiny_checkpoint(folder: Path) -> Path:
    """A tracker that adapts in about a second: long enough for others to find work meanwhile."""
    tracker = replace(tiny_tracker(rank=2, steps=2), card={"adaptation": {"steps": 30}})
    save_tracker(tracker, folder, tokenizer_json())
    return folder


def domains(count: int) -> Corpus:
    """So many domains."""
    return corpus(services=count, dialogues=2)


def newest(store: Store, domain: str) -> Job:
    """A domain's newest job, which it has."""
    return store.jobs.of(domain)[0]


def assert_adapted_once(store: Store, names: List[str]) -> None:
    """Each of these domains has one version, and one job, done at the first attempt."""
    for name in names:
        assert [info.version for info in store.adapters.versions(name)] == [1], name
        jobs = store.jobs.of(name)
        assert [(job.state, job.version, job.attempts) for job in jobs] == [("done", 1, 1)], name
