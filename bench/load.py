"""A bot under load: many conversations at once over REST, its memory, errors and throughput.

    python bench/load.py [--minutes 10] [--users 64] [--written] [--json OUT]

Two copies of one bot (tests/bots/pizzeria) are trained and served as bench/rasa_overhead.py does
it, one as it is and one after `rasa-onramp init`, with the domains of dialogue_data/. Their
conversations are kept in an SQLite file each, as Rasa's default keeps them all in memory for ever.

First, messages that are the bot's own business go to the one and to the other by turns, and the
throughput with us is divided by that without. Then the bot with us gets conversations of its own
and of the domains for `--minutes`: an error is an answer that isn't one (another status, no list of
texts, or no text to a message that a domain claimed), or an error in its log, and memory's growth
is that over the last four fifths of the time. What no domain claims is answered by the bot's own
fallback, which may say nothing; how often is said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from tqdm import tqdm  # noqa: E402

from load_parts.memory import Watch, growth, resident_mb  # noqa: E402
from load_parts.scripts import domain_talks, own_talks  # noqa: E402
from load_parts.users import Answered, talk  # noqa: E402
from rasa_onramp.cli.figures_file import write_figures  # noqa: E402
from rasa_onramp.tracker.checkpoint import load_tracker  # noqa: E402
from rasa_overhead import prepare  # noqa: E402
from rasa_programs import ActionServer, RasaServer  # noqa: E402

TARGETS = {"errors": 0, "memory_growth": 0.02, "throughput_ratio": 0.7}

#: Of the conversations that are neither's to claim, how many are looked at.
_LOOKED_AT = 40


def main() -> None:
    """Measure, print, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of load on the bot with us")
    parser.add_argument("--users", type=int, default=64, help="conversations at once")
    parser.add_argument("--windows", type=int, default=4, help="pairs of windows for the ratio")
    parser.add_argument("--window", type=float, default=20, help="seconds of a window")
    parser.add_argument("--ours", type=float, default=0.5, help="share of domains' conversations")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads in the servers")
    parser.add_argument("--written", action="store_true", help="have replies written")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        names = ("minutes", "users", "windows", "window", "ours", "threads", "written", "seed")
        settings = {name: getattr(options, name) for name in names}
        settings["checkpoint"] = load_tracker().digest
        found = {"settings": settings, **measure(Path(folder), options)}
    print(json.dumps(found, indent=2))
    if options.json is not None:
        write_figures(options.json, found)


def measure(folder: Path, options: argparse.Namespace) -> Dict[str, Any]:
    """All figures."""
    plain, ours, _said = prepare(folder, options.threads, options.written)
    for name in ("demo", "dialogue_data"):
        shutil.copytree(ROOT / name, folder / name)  # the demo's answers read its data
    servers: List[Any] = []
    try:
        answering = ours.with_environment(
            PYTHONPATH=os.pathsep.join((str(ROOT / "plugin"), str(folder / "demo"))),
            # Rasa's client writes on connections that its server has closed for being idle
            SANIC_KEEP_ALIVE_TIMEOUT="600",
        )
        actions = ActionServer(answering, "answers")
        servers.append(actions)
        for bot in (plain, ours):
            bot.edit("endpoints.yml", "localhost:5055", f"127.0.0.1:{actions.port}")
            bot.keep_conversations()
        without, with_us = RasaServer(plain), RasaServer(ours)
        servers += [without, with_us]
        for server in servers:
            server.wait()
        ratio = compare(without, with_us, options)
        load = endure(with_us, options)
        figures = {
            "errors": load["errors"] + ratio["errors"],
            "memory_growth": load["memory"]["growth"],
            "throughput_ratio": ratio["ratio"],
        }
        return {
            "targets": TARGETS,
            "met": {
                "errors": figures["errors"] <= TARGETS["errors"],
                "memory_growth": figures["memory_growth"] <= TARGETS["memory_growth"],
                "throughput_ratio": figures["throughput_ratio"] >= TARGETS["throughput_ratio"],
            },
            **figures,
            "own_messages": ratio,
            "load": load,
            "cores": os.cpu_count(),
            "machine_load": os.getloadavg()[0],
        }
    finally:
        for server in servers:
            server.stop()


def compare(
    without: RasaServer, with_us: RasaServer, options: argparse.Namespace
) -> Dict[str, Any]:
    """Throughput on messages of the bot's own, without us and with us, by turns."""
    kinds = {"own": (1.0, own_talks())}
    rates: Tuple[List[float], List[float]] = ([], [])
    heard: Tuple[List[Answered], List[Answered]] = ([], [])
    bar = tqdm(total=2 * (options.windows + 1), desc="the bot's own messages", unit="window")
    with bar:
        for window in range(-1, options.windows):  # the first is to warm up
            seconds = options.window if window >= 0 else options.window / 4
            order = (0, 1) if window % 2 == 0 else (1, 0)
            for which in order:
                server = (without, with_us)[which]
                began = time.monotonic()
                found = asyncio.run(
                    talk(
                        server.url,
                        kinds,
                        users=options.users,
                        seconds=seconds,
                        seed=f"{options.seed}.{window}.{which}",
                    )
                )
                if window >= 0:
                    heard[which].extend(found)
                    rates[which].append(rate(found, began, began + seconds))
                bar.update()
    pairs = [b / a for a, b in zip(*rates)]
    answered = [*heard[0], *heard[1]]
    return {
        "ratio": round(statistics.median(pairs), 3),
        "ratios": [round(pair, 3) for pair in pairs],
        "turns_a_second": {
            "without": round(statistics.median(rates[0]), 1),
            "with": round(statistics.median(rates[1]), 1),
        },
        "messages": len(answered),
        "without_text": without_text(answered),
        "claimed": claimed(with_us, [a.sender for a in heard[1]]),
        "errors": sum(a.error is not None for a in answered),
        "error_texts": error_texts(answered),
    }


def endure(server: RasaServer, options: argparse.Namespace) -> Dict[str, Any]:
    """The bot with us under conversations of both kinds."""
    kinds = {
        "own": (1 - options.ours, own_talks()),
        "domain": (options.ours, domain_talks(sorted((ROOT / "dialogue_data").glob("*.yml")))),
    }
    seconds = 60 * options.minutes
    logged = len(server.log())
    before = resident_mb(server.process.pid)
    watch = Watch(server.process.pid)
    began = time.monotonic()
    print(f"load for {options.minutes:g} minutes", file=sys.stderr)
    answered = asyncio.run(
        talk(
            server.url,
            kinds,
            users=options.users,
            seconds=seconds,
            seed=f"{options.seed}.load",
        )
    )
    watch.close()
    answered = [unless_silent(server, answer) for answer in answered]
    wrong = [line for line in server.log()[logged:].splitlines() if " ERROR " in line]
    memory = [mb for _, mb in watch.samples]
    figures: Dict[str, Any] = {
        "minutes": options.minutes,
        "messages": len(answered),
        "conversations": len({a.sender for a in answered}),
        "without_text": without_text(answered),
        "turns_a_second": round(rate(answered, began, began + seconds), 1),
        "errors": sum(a.error is not None for a in answered) + len(wrong),
        "error_texts": [*error_texts(answered), *wrong[:5]],
        "latency_ms": {},
        "turns_a_second_by_minute": by_minute(answered, began, seconds),
        "memory": {
            "before_mb": round(before),
            "most_mb": round(max(memory)),
            "after_mb": round(memory[-1]),
            "growth": round(growth(watch.samples, began + seconds / 5, began + seconds), 4),
            "by_tenth_mb": [
                round(memory[min(len(memory) - 1, tenth * len(memory) // 10)])
                for tenth in range(11)
            ],
        },
    }
    for kind in kinds:
        figures["latency_ms"][kind] = percentiles([a for a in answered if a.kind == kind])
    talked = [a.sender for a in answered if a.kind == "domain"]
    figures["domain_conversations_claimed"] = claimed(server, talked)
    return figures


def rate(answered: Sequence[Answered], began: float, end: float) -> float:
    """Messages answered a second."""
    return sum(began <= a.at <= end and a.error is None for a in answered) / (end - began)


def by_minute(answered: Sequence[Answered], began: float, seconds: float) -> List[float]:
    """The throughput of each whole minute."""
    return [
        round(rate(answered, began + 60 * minute, began + 60 * (minute + 1)), 1)
        for minute in range(int(seconds // 60))
    ]


def percentiles(answered: Sequence[Answered]) -> Dict[str, int]:
    """Of the milliseconds that an answer took; with all conversations at once, mostly waiting."""
    ranked = sorted(1000 * a.seconds for a in answered) or [0.0]
    return {
        f"p{share}": round(ranked[min(len(ranked) - 1, share * len(ranked) // 100)])
        for share in (50, 95, 99, 100)
    }


def claimed(server: RasaServer, senders: Sequence[str]) -> float:
    """The share of some conversations' messages that went to one of our domains."""
    chosen = list(dict.fromkeys(senders))
    chosen = chosen[:: max(1, len(chosen) // _LOOKED_AT)]
    domains = [domain for sender in chosen for _, domain in claims(server, sender)]
    ours = sum(domain is not None for domain in domains)
    return round(ours / max(1, len(domains)), 3)


def claims(server: RasaServer, sender: str) -> List[Tuple[str, Optional[str]]]:
    """A conversation's messages, each with the domain of ours that claimed it (None: none)."""
    return [
        (event["text"], (event["parse_data"].get("onramp") or {}).get("domain"))
        for event in server.tracker(sender)["events"]
        if event["event"] == "user"
    ]


def unless_silent(server: RasaServer, answer: Answered) -> Answered:
    """An answer without a text to a message that one of our domains claimed is an error."""
    if answer.texts or answer.error is not None:
        return answer
    for said, domain in claims(server, answer.sender):
        if said == answer.said and domain is not None:
            return replace(answer, error=f"no text to {said!r}")
    return answer


def without_text(answered: Sequence[Answered]) -> int:
    """Answers that are none in words, and no error."""
    return sum(a.texts == 0 and a.error is None for a in answered)


def error_texts(answered: Sequence[Answered]) -> List[str]:
    """The first few different ones."""
    return list(dict.fromkeys(a.error for a in answered if a.error is not None))[:5]


if __name__ == "__main__":
    main()
