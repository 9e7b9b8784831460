"""Two workers beside one: 50 domains in one store, each to be adapted exactly once.

    python bench/workers.py [--workers 1,2] [--domains 50] [--database URL] [--json OUT]

The domains are copies of those in dialogue_data/, with two support dialogues each; the tracker is
adapted, replies aren't. Workers are `rasa-onramp worker` processes of one thread each, started
before there is anything to do. What is counted is the time from the first job's being queued until
the last one is done, by the database's clock. Without a database, an SQLite file; with one, an
empty PostgreSQL database, whose tables this makes and empties.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from tqdm import tqdm

from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.dialogue import Corpus
from rasa_onramp.formats import read
from rasa_onramp.store import Job, Store, open_store
from rasa_onramp.tracker.checkpoint import load_tracker

__all__ = ["adapted", "copies", "main", "speed"]

ROOT = Path(__file__).resolve().parent.parent
SUPPORT = 2
#: How long the workers may do nothing before this gives up.
PATIENCE_SECONDS = 300

Figures = Dict[str, Any]


def copies(folder: Path, count: int) -> Corpus:
    """So many domains of different names, going round those of a folder; few dialogues each."""
    found = [read(str(path)) for path in sorted(folder.glob("*.yml"))]
    schemas, dialogues = {}, []
    for number in range(count):
        corpus = found[number % len(found)]
        (schema,) = corpus.schemas.values()
        name = f"{schema.name}_{number:04}"
        schemas[name] = replace(schema, name=name)
        kept = [d for d in corpus.dialogues if d.split == "support"][:SUPPORT]
        kept += [d for d in corpus.dialogues if d.split == "held-out"][:1]
        dialogues += [replace(dialogue, domain=name) for dialogue in kept]
    return Corpus(schemas, tuple(dialogues))


@contextmanager
def workers(
    url: str, count: int, folder: Path, options: Sequence[str]
) -> Iterator[List[subprocess.Popen]]:
    """So many workers that are ready."""
    logs = [folder / f"worker-{count}-{number}.log" for number in range(count)]
    command = [sys.executable, "-m", "rasa_onramp.cli", "worker", "--no-replies", "--poll", "0.5"]
    environment = {
        **os.environ,
        "RASA_ONRAMP_DATABASE_URL": url,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    started: List[subprocess.Popen] = []
    try:
        for path in logs:
            with path.open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [*command, "--threads", "1", *options],
                        env=environment,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        until(lambda: sum('"started"' in path.read_text("utf-8") for path in logs), count, started)
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(60)


def until(
    counted: Callable[[], int],
    wanted: int,
    processes: Sequence[subprocess.Popen],
    bar: Optional[tqdm] = None,
) -> None:
    """Wait until `counted()` is what is wanted, as long as that goes on and all are alive."""
    last, since = -1, time.monotonic()
    while True:
        count = counted()
        if bar is not None:
            bar.update(count - bar.n)
        if count == wanted:
            return
        if any(process.poll() is not None for process in processes):
            raise SystemExit("a worker ended; see what it printed")
        if count != last:
            last, since = count, time.monotonic()
        if time.monotonic() - since > PATIENCE_SECONDS:
            raise SystemExit(f"nothing happened for {PATIENCE_SECONDS} s; see what workers printed")
        time.sleep(0.2)


def done(store: Store) -> int:
    """Domains whose newest job is done."""
    return sum(job.state == "done" for job in store.jobs.newest())


def adapted(store: Store, names: Sequence[str]) -> Figures:
    """How often each domain was adapted, and from when to when. Raises SystemExit unless once."""
    jobs: List[Job] = []
    for name in names:
        versions, own = store.adapters.versions(name), store.jobs.of(name)
        if len(versions) != 1 or [(job.state, job.attempts) for job in own] != [("done", 1)]:
            raise SystemExit(f"{name} has {len(versions)} versions and the jobs {own}")
        jobs += own
    first = min(job.created_at for job in jobs)
    last = max(job.finished_at for job in jobs if job.finished_at is not None)
    shares: Dict[str, int] = {}
    for job in jobs:
        shares[str(job.owner)] = shares.get(str(job.owner), 0) + 1
    return {
        "domains": len(names),
        "versions": len(jobs),
        "seconds": round((last - first).total_seconds(), 2),
        "jobs of each worker": sorted(shares.values(), reverse=True),
    }


def speed(url: str, count: int, corpus: Corpus, folder: Path, options: Sequence[str]) -> Figures:
    """What so many workers do with a corpus, in a store that is empty before and after."""
    names = list(corpus.schemas)
    with open_store(url) as store:
        store.upgrade()
        if store.dialogues.domains():
            raise SystemExit(f"the store at {store.name} isn't empty; name another")
        with workers(url, count, folder, options) as processes:
            store.dialogues.import_corpus(corpus)
            with tqdm(total=len(names), desc=f"{count} workers", unit="domain") as bar:
                until(lambda: done(store), len(names), processes, bar)
        found = adapted(store, names)
        for name in names:
            store.dialogues.delete_domain(name)
    return {"workers": count, **found}


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,2", help="how many at once, in turn")
    parser.add_argument("--domains", type=int, default=50)
    parser.add_argument("--database", help="URL of an empty database (default: an SQLite file)")
    parser.add_argument("--checkpoint", help="folder of a tracker (default: the one that ships)")
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    corpus = copies(ROOT / "dialogue_data", options.domains)
    more = [] if options.checkpoint is None else ["--checkpoint", options.checkpoint]
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/onramp.db"
        runs = [
            speed(url, int(count), corpus, Path(folder), more)
            for count in options.workers.split(",")
        ]
    figures = {
        "settings": {
            "workers": options.workers,
            "domains": options.domains,
            "threads": 1,
            "checkpoint": load_tracker(options.checkpoint).digest,
        },
        "database": "PostgreSQL" if url.startswith("postgres") else "SQLite",
        "support dialogues": SUPPORT,
        "cores": os.cpu_count(),
        "runs": runs,
        "speed-up": round(runs[0]["seconds"] / runs[-1]["seconds"], 3),
    }
    print(json.dumps(figures, indent=1))
    if options.json:
        write_figures(options.json, figures)


if __name__ == "__main__":
    main()
