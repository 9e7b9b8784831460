"""The results as tables: plain text for the terminal, Markdown for docs/robustness.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from figures import ROOT, put
from rasa_onramp.evaluation.tables import table
from robustness_parts.conditions import CLEAN, GROUPS

__all__ = ["PAGE", "RESULTS", "filled", "load", "printed", "tables"]

PAGE = ROOT / "docs" / "robustness.md"
RESULTS = ROOT / "bench" / "results" / "robustness_sgd_dev.json"
NAMES = {"zero-shot": "zero-shot", "finetune": "plain fine-tuning", "adapted": "adapted"}

Found = Mapping[str, Any]
Rows = List[List[str]]


def filled(page: str, found: Found) -> str:
    """The page with its tables made anew."""
    texts = {name: markdown(rows) for name, rows in tables(found).items()}
    return put(page, {**texts, **_sentences(found)})


def printed(found: Found) -> str:
    """All tables, for a terminal."""
    return "\n\n".join(table(rows[0], rows[1:]) for rows in tables(found).values() if rows[1:])


def markdown(rows: Rows) -> str:
    """A table, its first row the header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def tables(found: Found) -> Dict[str, Rows]:
    """Every table by its name, the header first."""
    return {
        "conditions": _conditions(found["summary"]),
        "services": _services(found["runs"]),
        "paraphrases": _paraphrases(found["sensitivity"]),
        "missed": _missed(found["missed_slots"]),
        "order": _order(found.get("order")),
    }


def _sentences(found: Found) -> Dict[str, str]:
    runs, settings = found["runs"], found["settings"]
    services = sorted({row["service"] for row in runs})
    turns = {row["method"]: row["turns"] for row in found["summary"] if row["condition"] == CLEAN}
    counts = ", ".join(f"{NAMES[m]} {turns[m]}" for m in NAMES if m in turns)
    texts = {
        "setting": (
            f"Measured on {', '.join(services)}:\n{settings['shots']} support dialogues, "
            f"{len({row['seed'] for row in runs})} support set(s) a service, at most "
            f"{settings['limit']} held-out dialogues each.\nTurns in each condition: {counts}."
        )
    }
    lacking = [
        *(NAMES[method] for method in NAMES if method not in turns),
        *(group for group in GROUPS if all(r["condition"] != group for r in found["summary"])),
        *(() if "order" in found else ("order of onboarding",)),
    ]
    if lacking:
        texts["setting"] += f"\n**Not measured yet:** {'; '.join(lacking)}."
    texts.update({"order-tracking": "Not measured yet.", "order-routing": "Not measured yet."})
    if "order" in found:
        tracked, routed = found["order"]["tracking"], found["order"]["routing"]
        texts["order-tracking"] = (
            f"{tracked['domains']} domains, onboarded in {tracked['orders']} orders: of "
            f"{tracked['looks']} later looks\n{tracked['adapters_changed']} found another adapter, "
            f"and of {tracked['states_compared']} states {tracked['states_changed']} had changed."
        )
        texts["order-routing"] = (
            f"{routed['messages']} messages, {routed['orders']} orders; "
            f"{routed['order_changes']} go elsewhere in another order when all domains are "
            f"there.\nThe most that one domain's share fell when one other was added: "
            f"{routed['worst_fall']:.3f}."
        )
    return texts


def load(path: Path = RESULTS) -> Found:
    """A results file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _conditions(summary: Sequence[Found]) -> Rows:
    methods = [m for m in NAMES if any(row["method"] == m for row in summary)]
    rows = [["JGA", "services", *(NAMES[m] for m in methods)]]
    for group in GROUPS:
        cells = {row["method"]: row for row in summary if row["condition"] == group}
        if not cells:
            continue
        counts = [str(cells[method]["services"]) for method in methods if method in cells]
        row = [group, counts[0] if len(set(counts)) == 1 else " / ".join(counts)]
        for method in methods:
            row.append(_cell(cells[method]) if method in cells else "")
        rows.append(row)
    return rows


def _cell(row: Found) -> str:
    found = f"{row['jga']:.3f}"
    return f"{found} ({_difference(row['minus_clean'])})" if "minus_clean" in row else found


def _difference(values: Sequence[Any]) -> str:
    value, low, high = values
    interval = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{value:+.3f}{interval}"


def _services(runs: Sequence[Found]) -> Rows:
    """How the adapted tracker does in each service, by kind of condition."""
    method = "adapted" if any(row["method"] == "adapted" for row in runs) else "zero-shot"
    runs = [row for row in runs if row["method"] == method]
    services = sorted({row["service"] for row in runs})
    rows = [[f"JGA, {NAMES[method]}", *services]]
    for group in GROUPS:
        cells = []
        for service in services:
            scores = [
                score
                for row in runs
                if (row["group"], row["service"]) == (group, service)
                for turns in row["turn_jga"]
                for score in turns
            ]
            cells.append(f"{sum(scores) / len(scores):.2f}" if scores else "")
        if any(cells):
            rows.append([group, *cells])
    return rows


def _paraphrases(found: Sequence[Found]) -> Rows:
    names = list(found[0]["jga"]) if found else []
    labels = [name.rsplit(" ", 1)[-1] for name in names]
    rows = [["", *(f"v{label}" for label in labels), "mean", "SS (JGA)"]]
    for row in found:
        each = [f"{row['jga'][name]:.3f}" for name in names]
        mean, sensitivity = f"{row['mean_jga']:.3f}", f"{row['schema_sensitivity']:.3f}"
        rows.append([NAMES[row["method"]], *each, mean, sensitivity])
    return rows


def _missed(found: Sequence[Found]) -> Rows:
    rows = [["", "services", "turns", "mentioned in the support", "never mentioned", "difference"]]
    for row in found:
        figures = [f"{row['clean_accuracy']:.3f}", f"{row['accuracy']:.3f}"]
        counts = [str(row["services"]), str(row["turns"])]
        rows.append([NAMES[row["method"]], *counts, *figures, _difference(row["minus_clean"])])
    return rows


def _order(found: Optional[Found]) -> Rows:
    rows = [["domains onboarded", "first messages routed right", "later messages routed right"]]
    for size in found["routing"]["sizes"] if found else ():
        shares = (size["openings"], size["follow_ups"])
        rows.append([str(size["domains"]), *("" if s is None else f"{s:.3f}" for s in shares)])
    return rows
