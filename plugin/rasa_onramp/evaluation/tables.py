"""Figures as plain-text tables."""

from __future__ import annotations

import math
import statistics
from typing import Any, List, Mapping, Optional, Sequence

from rasa_onramp.evaluation.intervals import MAIN

__all__ = ["comparison_table", "figure", "figures_table", "table"]

Row = Mapping[str, Any]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, the first left-aligned, the others right-aligned."""
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        rest = [c.rjust(w) for c, w in zip(cells[1:], widths[1:])]
        return "  ".join([cells[0].ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(header), "  ".join("-" * w for w in widths), *map(line, rows)])


def figures_table(
    rows: Sequence[Row],
    summary: Sequence[Row],
    intervals: Sequence[Row],
    *,
    offers: bool,
    own_split: bool,
) -> str:
    """JGA of each service (mean ± standard deviation over seeds), then all figures by method.

    `intervals` are intervals.estimates of the same runs.
    """
    columns = [(s["method"], s["shots"]) for s in summary]
    services = sorted({r["service"] for r in rows})
    body: List[List[str]] = []
    for service in services:
        cells = [service]
        for column in columns:
            jga = [
                r["jga"]
                for r in rows
                if r["service"] == service and (r["method"], r["shots"]) == column
            ]
            spread = statistics.stdev(jga) if len(jga) > 1 else 0.0
            cells.append(f"{statistics.fmean(jga):.3f} ± {spread:.3f}" if jga else "")
        body.append(cells)
    header = ["JGA"] + [f"{method} {shots}" for method, shots in columns]
    several = not own_split and any(s["seeds"] > 1 for s in summary)
    drawn = "support sets and dialogues" if several else "dialogues"
    track = "the bot's own values marked" if offers else "text only"
    known = {(i["method"], i["shots"]): "[{1:.3f}, {2:.3f}]".format(*i["jga"]) for i in intervals}
    totals = [
        [
            f"{s['method']}, {s['shots']} dialogues",
            f"{figure(s['jga'])} ± {figure(s['jga_sd'])}",
            known[s["method"], s["shots"]],
            figure(s["jga_services"]),
            figure(s["average_goal_accuracy"]),
            figure(s["intent_accuracy"]),
            figure(s["requested_f1"]),
            figure(s["requested_f1_nonempty"]),
            str(s["turns"]),
            figure(s["seconds"], 1),
        ]
        for s in summary
    ]
    names = ["JGA", "95% interval", "JGA/service", "avg goal", "intent", "req. F1", "non-empty"]
    names += ["turns", "adapt s"]
    return "\n".join(
        [
            f"{track}; ± is the standard deviation over seeds, intervals are by bootstrap over "
            + drawn,
            "",
            table(header, body),
            "",
            table(["all services", *names], totals),
        ]
    )


def comparison_table(differences: Sequence[Row]) -> str:
    """What intervals.comparisons found, a line a method and support size."""
    rows = [
        (
            f"{MAIN} - {d['minus']}, {d['shots']}",
            "{:+.3f} [{:+.3f}, {:+.3f}]".format(*d["jga"]),
            "-" if d["p"] is None else f"{d['p']:.4f}",
        )
        for d in differences
    ]
    return table(("95% bootstrap intervals", "JGA", "p"), rows)


def figure(value: Optional[float], digits: int = 3) -> str:
    """A figure as text; "-" where nothing defines it: None, NaN."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"
