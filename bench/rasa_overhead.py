"""What the plugin costs a real bot: turn latency and memory of `rasa run`, with us and without.

    python bench/rasa_overhead.py [--turns 60] [--threads 1] [--written] [--json OUT]

Two copies of one bot (tests/bots/pizzeria) are trained and served, one as it is and one after
`rasa-onramp init`, with the shipped tracker and the domains of dialogue_data/ in an SQLite store.
The same messages go to both by REST, one at a time and in turns, so that other work on the machine
slows both down alike; none comes twice, as embeddings are kept. "Hearing" is Rasa's pipeline alone,
in the middle of a conversation, on the message with a word behind it: what it takes longer with us,
on messages that are a domain's, is routing plus tracking. The tracker is used zero-shot, whose
speed is an adapter's.

With `--written` the domains have adapter versions, made of the shipped initialisations, and the
language model that `rasa-onramp weights` fetched writes their replies.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from language_model import lend_language_model  # noqa: E402
from load_parts.scripts import Draw, own_talks  # noqa: E402
from measuring import as_command  # noqa: E402
from rasa_onramp.cli.figures_file import write_figures  # noqa: E402
from rasa_onramp.errors import ConfigError  # noqa: E402
from rasa_onramp.formats import read  # noqa: E402
from rasa_onramp.generator.checkpoint import load_replies  # noqa: E402
from rasa_onramp.metalearning.lora import adapter_to_bytes  # noqa: E402
from rasa_onramp.store import Store, open_store  # noqa: E402
from rasa_onramp.tracker.checkpoint import load_tracker  # noqa: E402
from rasa_programs import ActionServer, Bot, RasaServer, ask, end  # noqa: E402

Times = Tuple[List[float], List[float]]

TARGETS = {"tracking_p50_ms": 60.0, "more_memory_mb": 1500.0}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=60, help="turns of each kind")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads in the servers")
    parser.add_argument("--written", action="store_true", help="have replies written")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rasa-overhead-") as folder:
        settings = {name: getattr(options, name) for name in ("turns", "threads", "written")}
        checkpoint = {"checkpoint": load_tracker().digest}
        found = {"settings": {**settings, **checkpoint}, **measure(Path(folder), **settings)}
    print(json.dumps(found, indent=2))
    if options.json is not None:
        write_figures(str(options.json), found)


def measure(folder: Path, turns: int, threads: int, written: bool) -> Dict[str, object]:
    """All figures: milliseconds and megabytes."""
    plain, ours, said = prepare(folder, threads, written)
    servers: List[Union[ActionServer, RasaServer]] = []
    try:
        actions = ActionServer(ours, "rasa_onramp.actions")
        servers.append(actions)
        for bot in (plain, ours):
            bot.edit("endpoints.yml", "localhost:5055", f"127.0.0.1:{actions.port}")
        without, with_us = RasaServer(plain), RasaServer(ours)
        servers += [without, with_us]
        for server in servers:
            server.wait()
        rasa = (without, with_us)
        idle = [resident(server) for server in rasa]
        choose, draw = random.Random(0), own_talks()
        warm, *said = said
        for text in (*draw(choose), *warm):
            for server in rasa:
                server.say("warm-up", text)
        own: Times = ([], [])
        for number, texts in enumerate(drawn(draw, choose, turns)):
            one = timed(*(saying(server, f"own{number}") for server in rasa), texts)
            for times, more in zip(own, one):
                times.extend(more)
        talks: Times = ([], [])
        heard: Times = ([], [])
        for number, texts in enumerate(enough(said, turns)):
            for place, text in enumerate(texts):
                sender = f"domain{number}"
                copy = f"copy{number}.{place}"
                pair = [hear(server, sender, copy, f"{text} {copy}") for server in rasa]
                if pair[1][1] is not None:
                    for times, (taken, _domain) in zip(heard, pair):
                        times.append(taken)
                one = timed(*(saying(server, sender) for server in rasa), [text])
                for times, more in zip(talks, one):
                    times.extend(more)
        after = [resident(server) for server in rasa]
        figures = {
            "tracking_p50_ms": round(statistics.median(b - a for a, b in zip(*heard)), 1),
            "more_memory_mb": round(after[1] - after[0], 0),
        }
        return {
            "targets": TARGETS,
            "met": {name: figures[name] <= TARGETS[name] for name in TARGETS},
            **figures,
            "own_turn": both(own),
            "domain_turn": both(talks),
            "hearing_domain_turn": both(heard),
            "memory_mb": {
                "without": {"loaded": round(idle[0]), "after": round(after[0])},
                "with": {"loaded": round(idle[1]), "after": round(after[1])},
            },
            "load": os.getloadavg()[0],
        }
    finally:
        for server in servers:
            server.stop()


def prepare(folder: Path, threads: int, written: bool) -> Tuple[Bot, Bot, List[List[str]]]:
    """Both bots, trained, and the user's messages of dialogues that are held out."""
    shared = {
        "RASA_ONRAMP_HOME": str(folder / "home"),
        "RASA_ONRAMP_DATABASE_URL": f"sqlite:///{folder / 'onramp.db'}",
        "RASA_TELEMETRY_ENABLED": "false",
        "OMP_NUM_THREADS": str(threads),
    }
    said: List[List[str]] = []
    with open_store(shared["RASA_ONRAMP_DATABASE_URL"]) as store:
        store.upgrade()
        for file in sorted((ROOT / "dialogue_data").glob("*.yml")):
            corpus = read(file)
            store.dialogues.import_corpus(corpus)
            asked = [d for d in corpus.dialogues if d.split == "held-out"][:5]
            said += [[t.text for t in d.turns if t.is_user] for d in asked]
        if written:
            if not lend_language_model(folder / "home"):
                raise SystemExit("the language model isn't here; run `rasa-onramp weights`")
            adapt_to_nothing(store)
    source = ROOT / "tests" / "bots" / "pizzeria"
    plain, ours = (Bot.copy(source, folder / name, **shared) for name in ("plain", "ours"))
    ours.onramp("init", "--bot", ".", "--yes")
    for bot in (plain, ours):
        done = end(bot.begin("train"))
        if done.code:
            raise SystemExit(done.text)
    return plain, ours, said


def adapt_to_nothing(store: Store) -> None:
    """Give every domain a version that is the initialisations themselves."""
    tracker, replies = load_tracker(), load_replies()
    for name in store.dialogues.domains():
        store.adapters.add(
            *(name, adapter_to_bytes(dict(tracker.weights))),
            support_digest="none",
            checkpoint_digest=tracker.digest,
            figures={},
            reply_weights=adapter_to_bytes(dict(replies.weights)),
            reply_checkpoint_digest=replies.digest,
        )


def drawn(draw: Draw, choose: random.Random, turns: int) -> List[List[str]]:
    """As many conversations as have `turns` messages."""
    found: List[List[str]] = []
    while sum(map(len, found)) < turns:
        found.append(draw(choose))
    return found


def enough(said: Sequence[List[str]], turns: int) -> List[List[str]]:
    """As many dialogues as have `turns` messages, each once. Raises ConfigError if that is all."""
    chosen: List[List[str]] = []
    for texts in said:
        chosen.append(texts)
        if sum(map(len, chosen)) >= turns:
            return chosen
    raise ConfigError(f"the dialogues have {sum(map(len, chosen))} messages; lower --turns")


def timed(
    without: Callable[[str], object], with_us: Callable[[str], object], texts: Sequence[str]
) -> Times:
    """Milliseconds for each text, without us and with us, by turns."""
    found: Times = ([], [])
    for text in texts:
        for say, times in zip((without, with_us), found):
            began = time.perf_counter()
            say(text)
            times.append(1000 * (time.perf_counter() - began))
    return found


def saying(server: RasaServer, sender: str) -> Callable[[str], object]:
    """Says a text in a conversation, and waits for the replies."""
    return lambda text: server.say(sender, text)


def hear(server: RasaServer, sender: str, copy: str, text: str) -> Tuple[float, Optional[str]]:
    """Milliseconds that the server takes to understand `text`, said next to `sender`'s bot, and
    the domain that it finds. In a copy of the conversation, so that this one can go on.
    """
    begun = f"{server.url}/conversations/{copy}"
    events = server.tracker(sender)["events"]
    if events:
        ask(f"{begun}/tracker/events?include_events=NONE", events, seconds=60)
    began = time.perf_counter()
    found = ask(
        f"{begun}/messages?include_events=NONE", {"text": text, "sender": "user"}, seconds=60
    )
    taken = 1000 * (time.perf_counter() - began)
    if found is None:
        raise SystemExit(server.log()[-2000:])
    return taken, (found["latest_message"].get("onramp") or {}).get("domain")


def both(times: Times) -> Dict[str, Dict[str, float]]:
    """Median and 95th percentile, without us and with us."""
    return {name: spread(part) for name, part in zip(("without", "with"), times)}


def spread(times: List[float]) -> Dict[str, float]:
    """Milliseconds."""
    ranked = sorted(times)
    high = ranked[min(len(ranked) - 1, round(0.95 * (len(ranked) - 1)))]
    return {"p50": round(statistics.median(ranked), 1), "p95": round(high, 1), "turns": len(ranked)}


def resident(server: RasaServer) -> float:
    """Megabytes of the server's process in memory now (Linux)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    as_command(main)
