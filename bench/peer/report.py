"""The table of all methods, over services and seeds."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Set, Tuple

import numpy

from peer.scores import F1_COUNTS, REPLY_FIGURES, f1
from rasa_onramp.evaluation.reply_metrics import figures_of
from rasa_onramp.evaluation.tables import table

__all__ = [
    *("COLUMNS", "ENTITIES", "METHODS", "SELECTOR", "best_of", "measured_by_all", "report"),
    *("summaries", "wins"),
]

Row = Dict[str, Any]

#: All methods, in the table's order.
METHODS = (
    *("rasa", "rasa-crf", "entities", "probe", "in-context", "initialisation", "finetune"),
    *("finetune-replies", "imported", "adapted", "adapted-written"),
)

#: No method but a ceiling: what Rasa's slots hold if every entity is found. It wins and costs
#: nothing.
ENTITIES = "entities"

#: Those that understand and answer; the others are parts of a bot, or a tracker by itself.
BOTS = ("rasa", "imported", "adapted", "adapted-written")

#: What the same Rasa bot's ResponseSelector answers, instead of the reply action that TED chooses.
SELECTOR = "rasa, ResponseSelector"

#: Columns of the table: figure, heading, digits, and whether more or less is better; 0 for neither.
COLUMNS: Tuple[Tuple[str, str, int, int], ...] = (
    ("span_f1", "span F1", 2, 1),
    ("value_f1", "value F1", 2, 1),
    ("jga", "JGA", 3, 1),
    ("intent_accuracy", "intent", 2, 1),
    ("action_accuracy", "action", 2, 1),
    ("call_f1", "call F1", 2, 1),
    ("bleu", "BLEU", 1, 1),
    ("bleu_delexicalised", "delex.", 1, 1),
    ("slot_error_rate", "slot err.", 2, -1),
    ("ready_seconds", "ready s", 1, -1),
    ("learning_seconds", "learning s", 1, -1),
    ("memory_mb", "MB", 0, 0),  # ours is without Rasa around it, so none of these wins
    ("turn_ms_p50", "turn ms", 0, -1),
)

_DIGITS = {name: digits for name, _, digits, _ in COLUMNS}

#: The figures that say what a bot costs.
COSTS = ("ready_seconds", "learning_seconds", "turn_ms_p50")

#: What a row's figures are weighted by; the others count alike.
_WEIGHTS = {"jga": "turns", "intent_accuracy": "turns", "action_accuracy": "actions"}


def report(rows: Sequence[Row]) -> str:
    """A line a method, over all services and seeds; `*` marks the best of a column, and what
    reads the same. What a bot costs is compared among whole bots only.
    """
    lines = summaries(rows)
    best = best_of(lines)

    def cell(method: str, name: str, digits: int, better: int) -> str:
        value = lines[method].get(name)
        if value is None:
            return ""
        mark = "*" if wins(method, name, better, lines[method], best) else ""
        return f"{value:.{digits}f}{mark}"

    body = [[method, *(cell(method, n, d, b) for n, _, d, b in COLUMNS)] for method in lines]
    return table(["", *(heading for _, heading, _, _ in COLUMNS)], body)


def best_of(lines: Mapping[str, Row]) -> Dict[str, Optional[float]]:
    """The best of each column, as it is shown, with its sign turned where less is better."""
    best: Dict[str, Optional[float]] = {}
    for name, _, digits, better in COLUMNS:
        values = [line[name] for m, line in lines.items() if _compared(m, name, line)]
        best[name] = max((better * round(value, digits) for value in values), default=None)
    return best


def wins(
    method: str, name: str, better: int, line: Row, best: Mapping[str, Optional[float]]
) -> bool:
    """Whether the method has the best of a column, to the digits that are shown."""
    if not better or not _compared(method, name, line):
        return False
    return better * round(line[name], _DIGITS[name]) == best[name]


def _compared(method: str, name: str, line: Row) -> bool:
    among = method in BOTS if name in COSTS else method != ENTITIES
    return among and line.get(name) is not None


def measured_by_all(rows: Sequence[Row]) -> Sequence[Row]:
    """Those of the support sets that every method was measured on."""
    methods = {row["method"] for row in rows}
    done: Dict[Tuple[str, int], Set[str]] = {}
    for row in rows:
        done.setdefault((row["service"], row["seed"]), set()).add(row["method"])
    return [row for row in rows if done[row["service"], row["seed"]] == methods]


def summaries(rows: Sequence[Row]) -> Dict[str, Row]:
    """A summary a method; the ResponseSelector's replies are a line of their own."""
    found = {}
    for method in METHODS:
        line = summary(rows, method)
        if line:
            found[method] = line
        own = [row for row in rows if row["method"] == method and "reply_sums_selected" in row]
        if own:
            renamed = [{"method": method, "reply_sums": row["reply_sums_selected"]} for row in own]
            found[SELECTOR] = summary(renamed, method)
    return found


def summary(rows: Sequence[Row], method: str) -> Row:
    """JGA and the like are means over turns, F1s and figures of replies of all counts, the rest
    means over support sets. Empty without rows.
    """
    chosen = [row for row in rows if row["method"] == method]
    sums = [row["reply_sums"] for row in chosen if "reply_sums" in row]
    replies = figures_of(numpy.sum(sums, axis=0)) if sums else {}
    found: Row = {}
    for name, _, _, _ in COLUMNS:
        if name in REPLY_FIGURES:
            found.update({name: replies[name]} if replies else {})
            continue
        if method == ENTITIES and name in (*COSTS, "memory_mb"):
            continue
        stem = name[: -len("_f1")]
        weight = _WEIGHTS.get(name)
        pairs = [
            (row[name], row[weight] if weight else 1) for row in chosen if row.get(name) is not None
        ]
        if stem in F1_COUNTS and pairs:
            counts = [sum(row.get(key, 0) for row in chosen) for key in F1_COUNTS[stem]]
            found[name] = f1(*counts)
        elif pairs and sum(w for _, w in pairs):
            found[name] = sum(v * w for v, w in pairs) / sum(w for _, w in pairs)
    return found
