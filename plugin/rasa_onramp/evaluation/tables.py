"""Figures as plain-text tables."""

from __future__ import annotations

import math
import statistics
from typing import Any, List, Mapping, Sequence

from rasa_onramp.evaluation.intervals import MAIN

__all__ = ["comparison_table", "figures_table", "table"]

Row = Mapping[str, object]


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
    intervals: Sequence[Mapping[str, Any]],
    *,
    offers: bool,
    own_split: bool,
) -> str:
    """JGA of each service (mean ± standard deviation over seeds), then all figures by method.

    `intervals` are intervals.estimates of the same runs.
    """
    columns = [(str(s["method"]), int(str(s["shots"]))) for s in summary]
    services = sorted({str(r["service"]) for r in rows})
    body: List[List[str]] = []
    for service in services:
        cells = [service]
        for column in columns:
            jga = [
                float(str(r["jga"]))
                for r in rows
                if r["service"] == service and (r["method"], r["shots"]) == column
            ]
            spread = statistics.stdev(jga) if len(jga) > 1 else 0.0
            cells.append(f"{statistics.fmean(jga):.3f} ± {spread:.3f}" if jga else "")
        body.append(cells)
    header = ["JGA"] + [f"{method} {shots}" for method, shots in columns]
    several = not own_split and any(int(str(s["seeds"])) > 1 for s in summary)
    drawn = "support sets and dialogues" if several else "dialogues"
    track = "the bot's own values marked" if offers else "text only"
    known = {(i["method"], i["shots"]): "[{1:.3f}, {2:.3f}]".format(*i["jga"]) for i in intervals}
    totals = [
        [
            f"{s['method']}, {s['shots']} dialogues",
            f"{_number(s, 'jga')} ± {_number(s, 'jga_sd')}",
            known[str(s["method"]), int(str(s["shots"]))],
            _number(s, "jga_services"),
            _number(s, "average_goal_accuracy"),
            _number(s, "intent_accuracy"),
            _number(s, "requested_f1"),
            _number(s, "requested_f1_nonempty"),
            str(s["turns"]),
            f"{float(str(s['seconds'])):.1f}",
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


def comparison_table(differences: Sequence[Mapping[str, Any]]) -> str:
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


def _number(row: Row, key: str) -> str:
    value = row[key]
    return "-" if value is None or math.isnan(float(str(value))) else f"{float(str(value)):.3f}"
