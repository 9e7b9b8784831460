"""What the processes do that tests kill: they import it, so it can't stand in a test itself.

Each does its work over and over until it is told to stop, and says after each piece that it is
done: what was said to be done must be there, whatever happens next.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import time
import traceback
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

# what is otherwise imported when it is needed: these processes begin with it, like programs that
# have been up for a while
import tokenizers  # noqa: F401
import torch

import rasa_onramp.cli.adapt
import rasa_onramp.cli.import_
import rasa_onramp.cli.versions  # noqa: F401
from rasa_onramp.cli.main import cli
from rasa_onramp.dialogue import State, Turn
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.generator.spotting import find_sources, sources_of
from rasa_onramp.onboarding import adapt  # noqa: F401
from rasa_onramp.runtime.adapter_cache import read_adapter
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.session import Session
from rasa_onramp.store import Store, open_store
from rasa_onramp.store.connect import URL_VARIABLE
from rasa_onramp.store.digest import dialogue_digest
from rasa_onramp.store.serialise import state_to_json
from rasa_onramp.tracker.decoding import prepare
from rasa_onramp.tracker.together import track
from small_bot import BIKES, dialogues
from tiny_tracker import CAFE, booking

__all__ = [
    "KEPT",
    "TABLE",
    "Found",
    "Served",
    "Where",
    "adapting",
    "all_digests",
    "auditing",
    "importing",
    "in_file",
    "serving",
    "switching",
    "work",
]

#: The domain that is adapted, switched and served, as a file can say it.
TABLE = replace(
    CAFE,
    intents=tuple(
        replace(i, optional_slots={"seating": "bar", "guest_name": "anna"}) for i in CAFE.intents
    ),
)

#: What is said to the domain that is adapted, switched and served.
_OPENING = "i need a table on friday"

#: Dialogues that each import adds, to a domain of their own.
_ADDED = 8

#: Versions that `gc` keeps.
KEPT = 3


find_sources("on friday", sources_of({"visit_day": ("friday",)}, ()))  # imports spaCy


@dataclass(frozen=True)
class Where:
    """The store, the tracker's checkpoint, and a folder of the process's own for files."""

    url: str
    checkpoint: str
    folder: str


@dataclass(frozen=True)
class Served:
    """A turn: with which version and digest, what the tracker made of it, and the reply.

    `steady` is False where the domain changed meanwhile, and the digest may be another version's.
    """

    version: Optional[int]
    digest: Optional[str]
    steady: bool
    understood: str
    reply: str


@dataclass(frozen=True)
class Found:
    """What a process that starts afresh finds in the store, all of it read and checked.

    `dialogues` are the digests of what was read, by domain and id; `versions` the numbers of the
    served domain's with their digests, `understood` what the tracker makes of the opening with
    each, and `damage` what the database itself says is wrong.
    """

    dialogues: Mapping[Tuple[str, str], str]
    versions: Mapping[int, str]
    active: Optional[int]
    understood: Mapping[Optional[str], str]
    served: Served
    revision: int
    damage: Tuple[str, ...]


def work(
    deed: Callable[..., None], where: Where, said: Connection, arguments: Tuple[Any, ...]
) -> None:
    """Run a deed in its process; what goes wrong in it is said."""
    torch.set_num_threads(1)
    os.environ[URL_VARIABLE] = where.url
    try:
        with redirect_stdout(io.StringIO()):
            deed(where, said, *arguments)
        said.send(("stopped", None))
    except (BrokenPipeError, EOFError):
        pass  # the tests have ended
    except BaseException:
        said.send(("failed", traceback.format_exc()))


def importing(where: Where, said: Connection, name: str) -> None:
    """Import folders of two domains: one grows by dialogues, in the other one is replaced."""
    for number in itertools.count():
        folder = Path(where.folder) / f"{name}-{number}"
        folder.mkdir(parents=True)
        found = in_file(name, number)
        write_yaml(folder / "bikes.yml", BIKES, [d for d in found if d.domain == BIKES.name])
        write_yaml(folder / "cafe.yml", TABLE, [d for d in found if d.domain == TABLE.name])
        _onramp("import", str(folder), "--quiet")
        said.send(("done", number))
        if _told_to_stop(said):
            return


def in_file(name: str, number: int) -> List[Any]:
    """The dialogues of the import `number` of the process `name`."""
    added = [
        replace(d, id=f"{name}-{number}-{place}", split="held-out")
        for place, d in enumerate(dialogues(BIKES, _ADDED))
    ]
    changed = replace(booking(len(name) + number), id="changing", split="support")
    return [*added, changed]


def adapting(where: Where, said: Connection) -> None:
    """Adapt, and switch to what came of it."""
    with open_store() as store:
        jobs = store.jobs.of(TABLE.name)
    if jobs and jobs[0].unfinished:  # of the one before, which was killed
        _onramp("jobs", "cancel", TABLE.name)
    for number in itertools.count():
        _onramp(
            *(
                "adapt",
                TABLE.name,
                "--checkpoint",
                where.checkpoint,
                "--steps",
                str(1 + number % 3),
            ),
            *("--force", "--no-replies", "--threads", "1", "--quiet"),
        )
        said.send(("done", number))
        if _told_to_stop(said):
            return


def switching(where: Where, said: Connection, seed: int) -> None:
    """Switch from version to version, and clear old ones out."""
    choose = random.Random(seed)
    with open_store(where.url) as store:
        while True:
            if choose.random() < 0.2:
                said.send(("clearing", None))
                _onramp("versions", "gc", TABLE.name, "--keep", str(KEPT))
                said.send(("cleared", None))
            else:
                numbers = [info.version for info in store.adapters.versions(TABLE.name)]
                version = choose.choice([None, *numbers])
                said.send(("switching", version))
                name = "none" if version is None else str(version)
                _onramp("versions", "activate", TABLE.name, name)
                said.send(("switched", version))
            if _told_to_stop(said):
                return


def serving(where: Where, said: Connection) -> None:
    """Hold conversations with the domain that is imported, adapted and switched meanwhile."""
    with open_store(where.url) as store:
        engine = Engine.open(store, checkpoint=where.checkpoint)
        while True:
            session = Session()
            said.send(("served", _turn(engine, session)))
            engine.turn(session, "the terrace please")
            time.sleep(0.005)
            if _told_to_stop(said):
                return


def auditing(where: Where, said: Connection) -> None:
    """Read and check all that is in the store, and serve a turn."""
    with open_store(where.url) as store:
        revision, damage = store.revision(), _damage(store)
        read = all_digests(store)
        versions = {info.version: info.digest for info in store.adapters.versions(TABLE.name)}
        active = store.adapters.active(TABLE.name)
        engine = Engine.open(store, checkpoint=where.checkpoint)
        understood: Dict[Optional[str], str] = {}
        for version, digest in [(None, None), *versions.items()]:
            adapter = None
            if version is not None:
                adapter = read_adapter(store, TABLE.name, version, engine.tracker.digest)
            ready = prepare(engine.tracker, TABLE, adapter)
            prediction = track(
                engine.tracker, ready, [Turn("user", _OPENING)], State(), offers=True
            )
            understood[digest] = _understood(prediction)
        served = _turn(engine, Session())
    said.send(
        (
            "found",
            Found(
                read,
                versions,
                None if active is None else active.version,
                understood,
                served,
                revision,
                damage,
            ),
        )
    )


def all_digests(store: Store) -> Dict[Tuple[str, str], str]:
    """The digests of all dialogues, as they are read, by domain and id."""
    return {
        (domain, found.id): dialogue_digest(found)
        for domain in store.dialogues.domains()
        for found in store.dialogues.dialogues(domain, waiting=None)
    }


def _onramp(*arguments: str) -> None:
    """Run `rasa-onramp` on the store of RASA_ONRAMP_DATABASE_URL; it must work."""
    try:
        cli.main(args=list(arguments), prog_name="rasa-onramp")
    except SystemExit as end:
        assert end.code == 0, arguments


def _told_to_stop(said: Connection) -> bool:
    return said.poll() and said.recv() == "stop"


def _turn(engine: Engine, session: Session) -> Served:
    before = engine.catalogue.domains()[TABLE.name]
    outcome = engine.turn(session, _OPENING)
    understanding = outcome.understanding
    assert understanding.domain == TABLE.name, understanding
    assert outcome.reply is not None and outcome.reply.text
    return Served(
        understanding.version,
        before.digest,
        engine.catalogue.domains()[TABLE.name] is before,
        _understood(understanding),
        outcome.reply.text,
    )


def _understood(prediction: Any) -> str:
    """A state with its confidences: other weights give others."""
    sure = {slot: round(p, 3) for slot, p in sorted(prediction.slot_confidence.items())}
    state = state_to_json(prediction.state)
    return json.dumps([state, sure, round(prediction.intent_confidence, 3)], sort_keys=True)


def _damage(store: Store) -> Tuple[str, ...]:
    """What SQLite's own checks find; PostgreSQL keeps its constraints by itself."""
    with store._database.reading() as connection:
        if connection.dialect.name != "sqlite":
            return ()
        checks = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return tuple(check for check in checks if check != "ok") + tuple(map(str, orphans))
