"""Speed: tables of what bench/tracker_speed.py and bench/rasa_overhead.py wrote."""

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
            f"{found['threads']} threads)",
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
        "The same bot served by `rasa run`, with the plugin and without, one thread.",
        ("rasa_overhead.json",),
        "python bench/rasa_overhead.py --turns 30 --json bench/results/rasa_overhead.json",
        rasa,
    ),
)
