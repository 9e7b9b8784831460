"""Schemas, users and support that are not as they should be: what bench/robustness.py wrote."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from result_tables.table import Grid, Part, Results, Table
from robustness_parts.conditions import CLEAN, GROUPS

__all__ = ["TABLE", "TABLES"]

NAMES = {"zero-shot": "zero-shot", "finetune": "plain fine-tuning", "adapted": "adapted"}

#: What a difference of two methods is called.
_OVER = "adapted minus plain fine-tuning"

Found = Mapping[str, Any]

_PAGE = "docs/robustness.md"


def setting(results: Sequence[Results]) -> str:
    """What was measured."""
    (found,) = results
    settings = found["settings"]
    services = sorted({row["service"] for row in found["runs"]})
    turns = _turns(found)
    counts = ", ".join(f"{NAMES[method]} {turns[method]}" for method in NAMES if method in turns)
    sets = len({row["seed"] for row in found["runs"]})
    return (
        f"Measured on {', '.join(services)}:\n{settings['shots']} support dialogues, "
        f"{sets} support {'set' if sets == 1 else 'sets'} a service, at most {settings['limit']} "
        f"held-out dialogues each.\nTurns in each condition: {counts}."
    )


def lacks(results: Sequence[Results]) -> List[str]:
    """Methods, conditions and the order of onboarding, where they weren't measured."""
    (found,) = results
    done = {row["condition"] for row in found["summary"]}
    return [
        *(NAMES[method] for method in NAMES if method not in _turns(found)),
        *(group for group in GROUPS if group not in done),
        *(() if "order" in found else ("order of onboarding",)),
    ]


def conditions(results: Sequence[Results]) -> Grid:
    """A row a kind of condition, a column a method."""
    (found,) = results
    summary = found["summary"]
    methods = [m for m in NAMES if any(row["method"] == m for row in summary)]
    rows = []
    for group in GROUPS:
        cells = {row["method"]: row for row in summary if row["condition"] == group}
        if not cells:
            continue
        counts = [str(cells[method]["services"]) for method in methods if method in cells]
        count = counts[0] if len(set(counts)) == 1 else " / ".join(counts)
        figures = (_cell(cells[m]) if m in cells else "" for m in methods)
        minus = _over_tuning(cells.get("adapted", {})) or [""]
        rows.append((group, count, *figures, *(minus if "finetune" in methods else ())))
    header = ("JGA", "services", *(NAMES[method] for method in methods))
    return Grid((*header, *([_OVER] if "finetune" in methods else ())), tuple(rows))


def services(results: Sequence[Results]) -> Grid:
    """How the adapted tracker does in each service, by kind of condition."""
    (found,) = results
    measured = {row["method"] for row in found["runs"]}
    method = "adapted" if "adapted" in measured else "zero-shot"
    runs = [row for row in found["runs"] if row["method"] == method]
    names = sorted({row["service"] for row in runs})
    rows = []
    for group in GROUPS:
        cells = []
        for name in names:
            scores = [
                score
                for row in runs
                if (row["group"], row["service"]) == (group, name)
                for turns in row["turn_jga"]
                for score in turns
            ]
            cells.append(f"{sum(scores) / len(scores):.2f}" if scores else "")
        if any(cells):
            rows.append((group, *cells))
    return Grid((f"JGA, {NAMES[method]}", *names), tuple(rows))


def paraphrases(results: Sequence[Results]) -> Optional[Grid]:
    """A row a method: JGA under each of SGD-X's schemas."""
    found = results[0]["sensitivity"]
    if not found:
        return None
    names = list(found[0]["jga"])
    labels = [name.rsplit(" ", 1)[-1] for name in names]
    rows = []
    for row in found:
        each = [f"{row['jga'][name]:.3f}" for name in names]
        mean, sensitivity = f"{row['mean_jga']:.3f}", f"{row['schema_sensitivity']:.3f}"
        rows.append((NAMES[row["method"]], *each, mean, sensitivity))
    header = ("", *(f"v{label}" for label in labels), "mean", "SS (JGA)")
    return Grid(header, tuple(rows))


def missed(results: Sequence[Results]) -> Optional[Grid]:
    """A row a method: the slot that the support never mentions, with and without."""
    header = ("", "services", "turns", "mentioned in the support", "never mentioned", "difference")
    rows = []
    for row in results[0]["missed_slots"]:
        figures = [f"{row['clean_accuracy']:.3f}", f"{row['accuracy']:.3f}"]
        counts = [str(row["services"]), str(row["turns"])]
        rows.append((NAMES[row["method"]], *counts, *figures, _difference(row["minus_clean"])))
    for row in results[0]["missed_slots"]:
        for minus in _over_tuning(row):
            rows.append((_OVER, *[""] * 3, minus, ""))
    return Grid(header, tuple(rows)) if rows else None


def order_of_tracking(results: Sequence[Results]) -> Optional[str]:
    """Whether an adapter or a state changed when other domains were onboarded."""
    if "order" not in results[0]:
        return None
    found = results[0]["order"]["tracking"]
    return (
        f"{found['domains']} domains, onboarded in {found['orders']} orders: of "
        f"{found['looks']} later looks\n{found['adapters_changed']} found another adapter, "
        f"and of {found['states_compared']} states {found['states_changed']} had changed."
    )


def order_of_routing(results: Sequence[Results]) -> Optional[Grid]:
    """A row a number of domains: the share of messages that are routed right."""
    if "order" not in results[0]:
        return None
    found = results[0]["order"]["routing"]
    rows = [
        (str(size["domains"]), *(_share(size[key]) for key in ("openings", "follow_ups")))
        for size in found["sizes"]
    ]
    header = ("domains onboarded", "first messages routed right", "later messages routed right")
    note = (
        f"{found['messages']} messages, {found['orders']} orders; {found['order_changes']} go "
        "elsewhere in another order when all domains are there.\nThe most that one domain's share "
        f"fell when one other was added: {found['worst_fall']:.3f}."
    )
    return Grid(header, tuple(rows), note)


TABLE = Table(
    "robustness",
    "Robustness",
    "JGA when schemas, users or support dialogues aren't as they should be; in brackets the "
    "difference to the same turns in the clean condition, with its 95% interval.",
    ("robustness_sgd_dev.json",),
    """\
python bench/robustness.py --data $SGD/dev --paraphrases $SGD/sgd_x/data/v{1,2,3,4,5}/dev \\
  --shots 5 --limit 2 --json bench/results/robustness_sgd_dev.json""",
    conditions,
    parts=(
        Part("robustness-setting", "Measured on", setting),
        Part("robustness-services", "Service by service", services),
        Part("robustness-paraphrases", "SGD-X", paraphrases),
        Part("robustness-missed", "The slot that was never mentioned", missed),
        Part("robustness-order-tracking", "Order of onboarding: tracking", order_of_tracking),
        Part("robustness-order-routing", "Order of onboarding: routing", order_of_routing),
    ),
    page=_PAGE,
    lacks=lacks,
)

#: Paraphrased schemas alone, on more support sets and dialogues.
SGD_X = Table(
    "sgd-x",
    "Schemas in the words of SGD-X",
    "JGA under SGD-X's five wordings of each schema; in brackets the difference to the same turns "
    "under the schema's own.",
    ("sgd_x_dev.json",),
    """\
python bench/robustness.py --data $SGD/dev --paraphrases $SGD/sgd_x/data/v{1,2,3,4,5}/dev \\
  --conditions clean "paraphrased schema" --methods zero-shot adapted --shots 5 --seeds 2 \\
  --limit 6 --order-domains 0 --json bench/results/sgd_x_dev.json""",
    conditions,
    parts=(
        Part("sgd-x-setting", "Measured on", setting),
        Part("sgd-x-services", "Service by service", services),
        Part("sgd-x-wordings", "Each wording", paraphrases),
    ),
    page=_PAGE,
)

TABLES = (TABLE, SGD_X)


def _turns(found: Found) -> Mapping[str, int]:
    return {row["method"]: row["turns"] for row in found["summary"] if row["condition"] == CLEAN}


def _cell(row: Found) -> str:
    found = f"{row['jga']:.3f}"
    return f"{found} ({_difference(row['minus_clean'])})" if "minus_clean" in row else found


def _over_tuning(row: Found) -> List[str]:
    return [_difference(row["minus_finetune"])] if "minus_finetune" in row else []


def _difference(values: Sequence[Any]) -> str:
    value, low, high = values
    interval = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{value:+.3f}{interval}"


def _share(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.3f}"
