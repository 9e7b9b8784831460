"""Processes that are killed at random moments while they work on one store, and what must be true
of the store afterwards.

Importing, adapting or switching, and serving go on at once, as in production. One of them is killed
(SIGKILL); the others go on, and end when they are told to. Then a process that starts afresh reads
and checks everything, and what was killed is started again. A process here is forked from a server
that has imported what they need, so that most moments fall into its work, not into its start.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

from command_line import SOURCE
from killed_work import (
    KEPT,
    TABLE,
    Found,
    Served,
    Where,
    adapting,
    all_digests,
    auditing,
    importing,
    in_file,
    serving,
    switching,
    work,
)
from rasa_onramp.dialogue import Corpus
from rasa_onramp.store import open_store
from rasa_onramp.store.digest import dialogue_digest
from rasa_onramp.tracker.checkpoint import save_tracker
from servers import PATIENCE
from small_bot import BIKES
from tiny_tracker import bookings, tiny_tracker, tokenizer_json

__all__ = ["KINDS", "Trial"]

#: What is killed.
KINDS = ("importing", "adapting", "switching", "serving")

#: A process is killed within so many seconds of its first piece of work, or of its start.
_WITHIN = 0.6

_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(["killed_work", "pytest"])


class _Process:
    """One process that does a deed; `said` is what it said so far."""

    def __init__(self, deed: Callable[..., None], where: Where, *arguments: Any):
        self.name = deed.__name__
        self.said: List[Tuple[str, Any]] = []
        self._gone = False
        self.pipe, theirs = _FORKSERVER.Pipe()
        self._process = _FORKSERVER.Process(
            target=work, args=(deed, where, theirs, arguments), daemon=True
        )
        # the server that forks processes starts with the first of them
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join((str(SOURCE), str(SOURCE.parent / "tests")))
        self._process.start()
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        theirs.close()

    def listen(self) -> None:
        """Hear what it has to say now."""
        try:
            while self.pipe.poll():
                self.said.append(self.pipe.recv())
        except (EOFError, OSError):  # perhaps within a word
            self._gone = True
        if self.said and self.said[-1][0] == "failed":
            raise AssertionError(f"{self.name}:\n{self.said[-1][1]}")

    def has_worked(self) -> bool:
        """Whether a piece of its work is done."""
        return any(word in ("done", "switched", "cleared", "served") for word, _ in self.said)

    def kill(self) -> None:
        """SIGKILL, whatever it is at."""
        assert self._process.is_alive(), f"{self.name} has ended by itself"
        self._process.kill()
        self._process.join()
        assert self._process.exitcode == -9
        self.listen()
        self.pipe.close()

    def stop(self) -> None:
        """Let it end after the piece of work that it is at."""
        self.pipe.send("stop")
        self.wait_for("stopped")
        self._process.join()
        self.pipe.close()

    def wait_for(self, *words: str) -> Any:
        """What it said with the first of these words, as soon as it says it."""
        deadline = time.monotonic() + PATIENCE
        heard = 0
        while True:
            self.listen()
            for word, what in self.said[heard:]:
                if word in words:
                    return what
            heard = len(self.said)
            assert not self._gone, f"{self.name} has ended by itself"
            assert time.monotonic() < deadline, f"{self.name} hasn't said one of {words}"
            wait([self.pipe], timeout=0.2)


class Trial:
    """A store, the processes that work on it, and what is known to be in it."""

    def __init__(self, url: str, folder: Path, seed: int):
        self._choose = random.Random(seed)
        checkpoint = folder / "tracker"
        save_tracker(tiny_tracker(0, rank=2, steps=1, spread=2.0), checkpoint, tokenizer_json())
        self._where = Where(url, str(checkpoint), str(folder / "files"))
        with open_store(url) as store:
            store.upgrade()
            schemas = {schema.name: schema for schema in (TABLE, BIKES)}
            store.dialogues.import_corpus(Corpus(schemas, bookings(3)))
        self._server: Optional[_Process] = None
        self._imports = 0
        self._digests: Set[Optional[str]] = {None}
        self._understood: Dict[Optional[str], str] = {}
        self._found = self._audit()

    def close(self) -> None:
        """End the process that still serves."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill_one(self, kind: str) -> None:
        """Let all work, kill the process of this `kind`, and look at what it left behind."""
        self._imports += 1
        name = f"import{self._imports}"
        importer = _Process(importing, self._where, name)
        switches = kind == "switching" or (kind != "adapting" and self._choose.random() < 0.5)
        seed = self._choose.randrange(2**32)
        if switches:
            writer = _Process(switching, self._where, seed)
        else:
            writer = _Process(adapting, self._where)
        if self._server is None:
            self._server = _Process(serving, self._where)
        processes = [importer, writer, self._server]
        victim = next(each for each in processes if each.name == kind)
        others = [each for each in processes if each is not victim]
        if self._choose.random() < 0.8:  # else perhaps while it starts
            victim.wait_for("done", "switched", "cleared", "served")
        self._let_work(processes, self._choose.uniform(0, _WITHIN))
        victim.kill()
        for each in others:
            if not each.has_worked():  # whatever the victim held
                each.wait_for("done", "switched", "cleared", "served")
            if each is not self._server:
                each.stop()
        served = [what for word, what in self._server.said if word == "served"]
        if victim is self._server:
            self._server = None
        else:
            self._server.said.clear()
        found = self._audit()
        self._check_dialogues(found, importer, name)
        self._check_versions(found, writer)
        # who was killed may have changed nothing yet, and who wasn't may have had nothing to clear
        before = self._found
        changed = (found.dialogues, found.active) != (before.dialogues, before.active)
        assert found.revision >= before.revision + changed
        self._found = found
        for each in served:
            self._check_turn(each)
        self._start_again(kind)

    def _let_work(self, processes: List[_Process], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            wait([each.pipe for each in processes], timeout=until - time.monotonic())
            for each in processes:
                each.listen()

    def _start_again(self, kind: str) -> None:
        """What was killed does a piece of its work when it is started anew."""
        if kind == "serving":
            self._server = _Process(serving, self._where)
            self._server.wait_for("served")
            return
        deeds: Dict[str, Tuple[Any, ...]] = {
            "importing": (importing, self._where, f"again{self._imports}"),
            "adapting": (adapting, self._where),
            "switching": (switching, self._where, 0),
        }
        again = _Process(*deeds[kind])
        again.wait_for("done", "switched", "cleared")
        again.stop()
        with open_store(self._where.url) as store:
            versions = store.adapters.versions(TABLE.name)
            self._found = replace(
                self._found,
                dialogues=all_digests(store),
                versions={info.version: info.digest for info in versions},
                active=next((info.version for info in versions if info.active), None),
                revision=store.revision(),
            )
        self._digests |= set(self._found.versions.values())

    def _audit(self) -> Found:
        process = _Process(auditing, self._where)
        found: Found = process.wait_for("found")
        process.wait_for("stopped")
        assert found.damage == ()
        for digest, understood in found.understood.items():
            assert self._understood.setdefault(digest, understood) == understood
        self._digests |= set(found.versions.values())
        digest = found.versions[found.active] if found.active is not None else None
        assert (found.served.version, found.served.digest) == (found.active, digest)
        self._check_turn(found.served)
        return found

    def _check_turn(self, served: Served) -> None:
        """A turn was served with a version that was whole, and as that version understands it."""
        if served.steady:
            assert served.digest in self._digests
            assert served.understood == self._understood[served.digest]
        else:
            assert served.understood in self._understood.values()

    def _check_dialogues(self, found: Found, importer: _Process, name: str) -> None:
        """All that was imported is there, and of the last import all or nothing."""
        done = sum(word == "done" for word, _ in importer.said)
        expected: Dict[Tuple[str, str], str] = dict(self._found.dialogues)
        for number in range(done):
            expected.update(_digests(name, number))
        if found.dialogues != expected:
            expected.update(_digests(name, done))  # it was killed before it could say so
        assert found.dialogues == expected

    def _check_versions(self, found: Found, writer: _Process) -> None:
        """No version is lost or half there, and the active one is the one switched to last."""
        before = self._found
        if writer.name == "adapting":
            done = sum(word == "done" for word, _ in writer.said)
            last = max(before.versions, default=0)
            old = {number: found.versions[number] for number in before.versions}
            assert old == before.versions
            new = sorted(set(found.versions) - set(old))
            assert new == list(range(last + 1, last + 1 + len(new)))
            assert len(new) in (done, done + 1)
            assert found.active == (new[-1] if new else before.active)
            return
        assert set(found.versions.items()) <= set(before.versions.items())
        assert set(sorted(before.versions)[-KEPT:]) <= set(found.versions)
        cleared = any(word == "clearing" for word, _ in writer.said)
        assert cleared or found.versions == before.versions
        switched = [what for word, what in writer.said if word == "switched"]
        may = {switched[-1] if switched else before.active}
        if writer.said and writer.said[-1][0] == "switching":
            may.add(writer.said[-1][1])
        assert found.active in may


def _digests(name: str, number: int) -> Mapping[Tuple[str, str], str]:
    return {(d.domain, d.id): dialogue_digest(d) for d in in_file(name, number)}
