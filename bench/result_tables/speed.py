"""Speed: tables of what tracker_speed.py, rasa_overhead.py, load.py and reply_speed.py wrote."""

from __future__ import annotations

import statistics
from typing import Sequence, Tuple

from result_tables.table import Grid, Results, Table

__all__ = ["TABLES"]


def tracker(results: Sequence[Results]) -> Grid:
    """Adapting and tracking by themselves."""
    (found,) = results
    adapting = statistics.median(found["adapt seconds"])
    rows = (
        (
            f"adapting to {found['support dialogues']} dialogues ({found['inner steps']} steps, "
            f"{found['settings']['threads']} threads)",
            f"{adapting:.1f} s, {found['ratio of medians']:.2f} times the bare forward and "
            "backward passes",
        ),
        ("tracking a turn, p50 / p95", f"{found['turn p50 ms']} / {found['turn p95 ms']} ms"),
    )
    return Grid(("", ""), rows)


def rasa(results: Sequence[Results]) -> Grid:
    """A message inside `rasa run`, with the plugin and without."""
    (found,) = results
    names = {
        "own_turn": "a turn of the bot's own, p50 / p95",
        "domain_turn": "a domain's turn, p50 / p95",
        "hearing_domain_turn": "a domain's turn, Rasa's pipeline alone, p50 / p95",
    }
    rows = [
        (
            name,
            *(f"{found[key][w]['p50']} / {found[key][w]['p95']} ms" for w in ("with", "without")),
        )
        for key, name in names.items()
    ]
    memory = found["memory_mb"]
    rows.append(("memory", *(f"{memory[w]['after']:,} MB" for w in ("with", "without"))))
    return Grid(("", "with the plugin", "without"), tuple(rows))


def load(results: Sequence[Results]) -> Grid:
    """Many conversations at once."""
    (found,) = results
    own, under = found["own_messages"], found["load"]
    rates = own["turns_a_second"]
    latency = {kind: f"{p['p50']:,} / {p['p95']:,} ms" for kind, p in under["latency_ms"].items()}
    memory = under["memory"]
    rows = (
        (
            "the bot's own messages a second, with the plugin / without",
            f"{rates['with']} / {rates['without']}: {found['throughput_ratio']:.2f}",
        ),
        (
            f"messages of both kinds, {found['settings']['users']} conversations at once for "
            f"{under['minutes']:g} minutes",
            f"{under['messages']:,}, {under['turns_a_second']} a second",
        ),
        ("errors", str(found["errors"])),
        (
            "no error, but answered without text: of the bot's own messages alone, of both kinds",
            f"{own['without_text']} of {own['messages']:,}, {under['without_text']} of "
            f"{under['messages']:,}",
        ),
        ("answered in, p50 / p95: the bot's own", latency["own"]),
        ("answered in, p50 / p95: a domain's", latency["domain"]),
        (
            "memory at the end, and its growth over the last four fifths of the time",
            f"{memory['after_mb']:,} MB, {found['memory_growth']:+.1%}",
        ),
    )
    return Grid(("", ""), rows)


def replies(results: Sequence[Results]) -> Grid:
    """A reply of the language model by itself, beside transformers' `generate`."""
    (found,) = results
    rows = [
        (
            f"a reply of {found['tokens a reply']} tokens on average, p50 / p95",
            *(f"{found[f'{who}_p50_s']:.2f} / {found[f'{who}_p95_s']:.2f} s" for who in _WHO),
        ),
        (
            "a token decoded",
            f"{found['token_ms']:.0f} ms, {found['token_over_floor']:.1f} times what reading the "
            "weights takes",
            *("", ""),
        ),
    ]
    rows += [
        (
            f"{each['conversations']} conversations in one batch, of one domain / of as many",
            f"{each['one_domain_over_alone']:.2f} / {each['all_domains_over_alone']:.2f} times the "
            "replies of one after the other",
            *("", ""),
        )
        for each in found["together"]
    ]
    return Grid(("", "ours", "ours, every prompt read anew", "`generate`"), tuple(rows))


def workers(results: Sequence[Results]) -> Grid:
    """How fast one worker, and several, adapt the domains of one store."""
    (found,) = results
    first = found["runs"][0]["seconds"]
    rows = tuple(
        (
            str(run["workers"]),
            f"{run['versions']} of {run['domains']}, each once",
            " + ".join(map(str, run["jobs of each worker"])),
            f"{run['seconds']:.1f} s",
            f"{first / run['seconds']:.2f}",
        )
        for run in found["runs"]
    )
    header = ("workers", "domains adapted", "jobs of each", "time", "speed")
    return Grid(header, rows, _WORKERS_NOTE)


_WORKERS_NOTE = (
    "Each was measured once, one after the other, while the machine's speed varied: no workers are "
    "faster by more than their number."
)
_WHO = ("ours", "anew", "generate")

TABLES: Tuple[Table, ...] = (
    Table(
        "speed-tracker",
        "Speed of the tracker",
        "Adapting and its bare passes were timed in turns, on the same batches.",
        ("tracker_speed.json",),
        "python bench/tracker_speed.py --repeats 3 --json bench/results/tracker_speed.json",
        tracker,
    ),
    Table(
        "speed-rasa",
        "Speed inside Rasa",
        "The same bot served by `rasa run`, with the plugin and without, two threads; support "
        "replies answer.",
        ("rasa_overhead.json",),
        "python bench/rasa_overhead.py --turns 30 --threads 2 "
        "--json bench/results/rasa_overhead.json",
        rasa,
    ),
    Table(
        "speed-rasa-written",
        "Speed inside Rasa, replies written",
        "The same, and the language model writes the replies that no support reply fits.",
        ("rasa_overhead_written.json",),
        "python bench/rasa_overhead.py --turns 30 --threads 2 --written "
        "--json bench/results/rasa_overhead_written.json",
        rasa,
    ),
    Table(
        "speed-load",
        "Under load",
        "The same bots with conversations kept in an SQLite file, two cores; every user sends the "
        "next message as soon as the last is answered, so that the time to an answer is mostly "
        "waiting.",
        ("load.json",),
        "python bench/load.py --json bench/results/load.json",
        load,
    ),
    Table(
        "speed-replies",
        "Speed of the language model",
        "Held-out conversations of `dialogue_data/parcel_delivery.yml`, every reply written, "
        "beside transformers' own `generate` with the same weights and prompts; two threads. Ours "
        "keeps what it read of a conversation, as in a bot; `generate` reads every prompt anew.",
        ("reply_speed.json",),
        "python bench/reply_speed.py --dialogues 5 --together 4,16 "
        "--json bench/results/reply_speed.json",
        replies,
    ),
    Table(
        "speed-workers",
        "Speed of several workers",
        "`rasa-onramp worker` processes of one thread each on one store; the tracker alone, two "
        "support dialogues a domain.",
        ("workers.json",),
        "python bench/workers.py --json bench/results/workers.json",
        workers,
    ),
)
