"""A bot with 10, 100 and 1,000 domains and up to 100,000 dialogues in a real PostgreSQL.

    python bench/many_domains.py --json bench/results/many_domains.json

Domains are a hundred of dialogue_data's and training_data's, told apart by an invented company's
name behind every message; each has five support dialogues and 95 that are held out, and an adapter.
Half a dozen of its dialogues go through the import, the rest are copied inside the database.

`import`: dialogues a second. `start`: of a bot, in a process of its own: the first, which has to
embed what users say, and a later one. `message`: what a message costs, routed and tracked, taken
in turns with every number of domains, on the same messages to the same domains; and its parts, each
by its median and, for sums of many, its mean.
`refresh`: the first message after a domain got a dialogue, or another adapter version, but for what
any message costs. `plans`: the queries of all that, on the largest database; none may read a large
table from end to end, and `ms` is the mean of several runs. `together`: turns of as many domains in
one pass.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import re
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import sqlalchemy as sa
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from cost import Counting  # noqa: E402
from cost_domains import seconds_of  # noqa: E402
from many_stores import Domain, Figures, base_domains, filled, variants  # noqa: E402
from postgres import PostgresServer, binaries  # noqa: E402
from rasa_onramp.cli.figures_file import write_figures  # noqa: E402
from rasa_onramp.dialogue import Corpus  # noqa: E402
from rasa_onramp.memory import MEGABYTE  # noqa: E402
from rasa_onramp.metalearning.lora import adapter_to_bytes  # noqa: E402
from rasa_onramp.runtime.conversation import Engine  # noqa: E402
from rasa_onramp.runtime.session import Session  # noqa: E402
from rasa_onramp.store import open_store  # noqa: E402
from rasa_onramp.store.connect import make_engine, parse_url  # noqa: E402
from rasa_onramp.tracker.checkpoint import load_tracker  # noqa: E402
from rasa_onramp.tracker.together import AskedTurn, track_together  # noqa: E402

__all__ = ["main"]

DOMAINS = (10, 100, 1000)

#: Domains of ours that all of them are made of.
BASE = 100

#: The smallest table of which a plan may not read all, in rows.
LARGE = 500

#: How often each query is timed.
TIMES = 10


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domains", default=",".join(map(str, DOMAINS)))
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    counts = sorted(int(count) for count in options.domains.split(","))
    where = binaries()
    if where is None:
        raise SystemExit("no PostgreSQL server on this machine; install one")
    server = PostgresServer(where)
    try:
        server.start()
        base = base_domains(min(BASE, counts[-1]))
        found = measure(server, base, counts, options.messages)
    finally:
        server.remove()
    settings = {name: getattr(options, name) for name in ("domains", "messages", "threads")}
    settings.update(torch=torch.__version__, checkpoint=load_tracker().digest)
    found = {"settings": settings, **found}
    print(json.dumps(found, indent=1))
    if options.json is not None:
        write_figures(str(options.json), found)


def measure(
    server: PostgresServer, base: Sequence[Domain], counts: Sequence[int], messages: int
) -> Figures:
    """All figures."""
    tracker = load_tracker()
    weights = adapter_to_bytes(tracker.weights)
    rows: List[Figures] = []
    engines: Dict[int, Engine] = {}
    urls: Dict[int, str] = {}
    for count in tqdm(counts, desc="fill and start", unit="store"):
        urls[count] = server.create_database()
        row = filled(urls[count], variants(base, count), weights, tracker.digest)
        for name in ("first_start", "start"):
            row.update({f"{name}_{k}": v for k, v in in_own_process(urls[count]).items()})
        rows.append(row)
    for count in counts:
        engines[count] = Engine.open(open_store(urls[count]))
        engines[count].catalogue.live()
    asked = messages_to(variants(base, counts[0]), messages)
    for row, found in zip(rows, alternately(list(engines.values()), asked)):
        row.update(found)
    for row, engine in zip(rows, engines.values()):
        row.update(refreshed(engine))
    largest = engines[counts[-1]]
    found: Figures = {"stores": rows, "plans": plans(urls[counts[-1]], largest)}
    found.update({f"miss_{kind}_ms": ms for kind, ms in miss_ms(largest).items()})
    found["adapter_mb"] = round(len(weights) / MEGABYTE, 2)
    found["turn_gflop"] = gflop(largest, asked[0])
    found["together"] = together(largest, variants(base, counts[-1]))
    for engine in engines.values():
        engine.store.close()
    return found


def in_own_process(url: str) -> Figures:
    """Start a bot in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_started, url, torch.get_num_threads()).result()


def _started(url: str, threads: int) -> Figures:
    torch.set_num_threads(threads)
    with open_store(url) as store:
        engine = Engine.open(store)
        before = resident()
        seconds = seconds_of(lambda: engine.catalogue.live())
        return {"s": round(seconds, 2), "mb": round(resident() - before, 1)}


def resident() -> float:
    """Megabytes that this process holds in memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


def messages_to(domains: Sequence[Domain], count: int) -> List[str]:
    """First messages of held-out dialogues, each worded a little differently."""
    held = [ds[-1].turns[0].text for _, ds in domains]
    return [f"{held[n % len(held)]} ({n})" for n in range(count)]


def alternately(engines: Sequence[Engine], asked: Sequence[str]) -> List[Figures]:
    """What a message costs in each engine, and its parts; they take turns, message by message."""
    parts = ("message", "revision", "route", "embed")
    taken: List[Dict[str, List[float]]] = [{part: [] for part in parts} for _ in engines]
    for engine in engines:  # the domains' adapters are in memory then
        for text in dict.fromkeys(text.rpartition(" (")[0] for text in asked):
            engine.understand(Session(), text)
    for text in tqdm(asked, desc="messages", unit="message"):
        for engine, times in zip(engines, taken):
            times["message"].append(seconds_of(partial(engine.understand, Session(), text)))
            times["revision"].append(seconds_of(engine.catalogue.live))
            crowd = engine.catalogue.live().crowd
            # its embedding is known by now
            times["route"].append(seconds_of(partial(engine.router.route, text, crowd)))
            times["embed"].append(seconds_of(partial(engine.embed, [text + " "])))
    found = []
    for times in taken:
        row = {f"{p}_p50_ms": round(1000 * statistics.median(t), 2) for p, t in times.items()}
        row.update({f"{p}_mean_ms": round(1000 * statistics.fmean(t), 2) for p, t in times.items()})
        ratios = [a / b for a, b in zip(times["message"], taken[0]["message"])]
        found.append({**row, "message_ratio": round(statistics.median(ratios), 3)})
    return found


def refreshed(engine: Engine) -> Figures:
    """The first message after a change, but for what any message costs."""
    store, name = engine.store, next(iter(engine.catalogue.domains()))
    support = store.support(name, held_out=False)
    dialogues, switches = [], []
    for number in range(5):
        new = replace(support.dialogues[0], id=f"new{number}")
        store.dialogues.import_corpus(Corpus({name: support.schema}, (new,)))
        dialogues.append(seconds_of(engine.catalogue.live))
        store.adapters.activate(name, None if number % 2 == 0 else 1)
        switches.append(seconds_of(engine.catalogue.live))
    return {
        "dialogue_refresh_ms": round(1000 * statistics.median(dialogues), 1),
        "version_refresh_ms": round(1000 * statistics.median(switches), 1),
    }


def plans(url: str, engine: Engine) -> List[Figures]:
    """How PostgreSQL runs the queries of a message, a refresh, a miss and an import."""
    store, name = engine.store, next(iter(engine.catalogue.domains()))
    some = store.dialogues.dialogues(name, "support")[0]
    revision, numbers = store.revision(), itertools.count()
    steps: Dict[str, Callable[[], Any]] = {
        "message": store.revision,
        "what changed": lambda: store.dialogues.changed_since(revision - 1),
        "a changed domain": lambda: store.dialogues.summary([name]),
        "its support": lambda: store.support(name, held_out=False),
        "its embeddings": lambda: store.embeddings.read([name]),
        "its adapter": lambda: store.adapters.get(name, 1),
        "importing a dialogue": lambda: store.dialogues.import_corpus(
            Corpus(
                {name: store.dialogues.schema(name)}, (replace(some, id=f"new {next(numbers)}"),)
            )
        ),
    }
    said: List[Tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        said.append((statement, parameters))

    found = []
    sql = make_engine(parse_url(url))
    with sql.connect() as connection:
        rows = dict(
            connection.execute(
                sa.text("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'")
            ).all()
        )
        for step, work in steps.items():
            said.clear()
            sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
            work()
            sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)
            asked = [each for each in said if each[0].lstrip().startswith("SELECT")]
            scans = [
                scan
                for statement, parameters in asked
                for scan in _scans(connection.connection.cursor(), statement, parameters)
            ]
            seconds = statistics.fmean(seconds_of(work) for _ in range(TIMES))
            long = sorted({s for s in scans if rows.get(s, 0) >= LARGE})
            found.append(
                {
                    "step": step,
                    "queries": len(asked),
                    "ms": round(1000 * seconds, 1),
                    "read_from_end_to_end": long,
                }
            )
    sql.dispose()
    return found


def _scans(cursor: Any, statement: str, parameters: Any) -> List[str]:
    """Tables that a query reads from end to end."""
    cursor.execute("EXPLAIN (FORMAT JSON) " + statement, parameters)
    waiting, found = [cursor.fetchone()[0][0]["Plan"]], []
    while waiting:
        node = waiting.pop()
        if node["Node Type"] == "Seq Scan":
            found.append(node["Relation Name"])
        waiting += node.get("Plans", [])
    return found


def miss_ms(engine: Engine, count: int = 20) -> Dict[str, float]:
    """Milliseconds until an adapter that isn't in memory is read and its schema encoded: median and
    mean.
    """
    domains = list(engine.catalogue.domains().values())[-count:]
    taken = [
        seconds_of(partial(engine.adapters.get, d.schema, d.content, d.version, d.digest))
        for d in domains
    ]
    return {
        "p50": round(1000 * statistics.median(taken), 1),
        "mean": round(1000 * statistics.fmean(taken), 1),
    }


def gflop(engine: Engine, text: str) -> float:
    """Arithmetic of a message, embedded, routed and tracked, in 10⁹ operations."""
    with Counting() as counter:
        engine.understand(Session(), f"{text} once more")
    return round(counter.operations / 1e9, 3)


def together(engine: Engine, domains: Sequence[Domain]) -> List[Figures]:
    """Turns of as many domains in one pass, beside one after the other; alternately."""
    live, rows = engine.catalogue.domains(), []
    for count in (1, 2, 4, 8, 16):
        asked = []
        for schema, dialogues in domains[:count]:
            domain = live[schema.name]
            ready = engine.adapters.get(
                domain.schema, domain.content, domain.version, domain.digest
            )
            turns = dialogues[-1].turns[:3]
            before = turns[0].state
            assert before is not None
            asked.append(AskedTurn(ready, turns, before, offers=True))
        alone, at_once = [], []
        for _ in range(7):
            alone.append(
                seconds_of(
                    lambda some=asked: [track_together(engine.tracker, [one]) for one in some]
                )
            )
            at_once.append(seconds_of(lambda some=asked: track_together(engine.tracker, some)))
        one, many = statistics.median(alone) / count, statistics.median(at_once) / count
        rows.append(
            {"domains": count, "alone_ms": round(1000 * one, 1), "ms": round(1000 * many, 1)}
        )
    return rows


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
