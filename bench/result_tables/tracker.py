"""The tracker by the few-shot protocol: tables and curves of `rasa-onramp evaluate --json`.

Runs of several files are joined: services measured apart count as measured together. JGA is the
mean over turns, ± the standard deviation over support sets. Intervals are 95%, by bootstrap over
support sets and, where the files have `splits`, dialogues (10,000 resamples, seed 0); p is of a
paired permutation test. With an own split all seeds are orders of one support set, so without
`splits` nothing is left to draw: there are no intervals then.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from functools import partial
from typing import Any, BinaryIO, Dict, List, Sequence, Tuple

from rasa_onramp.evaluation.intervals import MAIN, comparisons, estimates
from rasa_onramp.evaluation.plots import few_shot_curve
from result_tables.paired import dialogues
from result_tables.table import Grid, Part, Results, Table, p_value
from result_tables.tracker_runs import jga_of, methods_of, name_of, of, runs_of, values_of
from result_tables.tracker_sentences import (
    SHOTS,
    behind,
    headline,
    kinds,
    own_headline,
    single_values,
)

__all__ = ["TABLES"]

#: The baseline that is itself compared with no learning at all.
_TUNED = "finetune"


def five(results: Sequence[Results]) -> Grid:
    """A row a method on five dialogues, then what adapting has over each other method."""
    runs, rows = runs_of(results), []
    for method in methods_of(runs):
        found = of(runs, method, SHOTS)
        sets = [
            jga_of([r for r in found if r["seed"] == s]) for s in sorted(values_of(found, "seed"))
        ]
        services = sorted(values_of(found, "service"))
        each = [jga_of([r for r in found if r["service"] == s]) for s in services]
        mean = statistics.fmean([jga for jga in each if not math.isnan(jga)] or [math.nan])
        spread = statistics.stdev(sets) if len(sets) > 1 else 0.0
        learns = "" if method == "zero-shot" else f" on {SHOTS} dialogues"
        seconds = statistics.fmean(r["seconds"] for r in found)
        rows.append(
            (
                name_of(method) + learns,
                f"{jga_of(found):.3f} ± {spread:.3f}",
                f"{mean:.3f}",
                f"{seconds:.1f}",
            )
        )
    drawn = _drawn(results)
    own, of_five = _own_split(results), [r for r in runs if r["shots"] == SHOTS]
    for row in comparisons(of_five, _splits(results), own_split=own):
        rows.append((_minus(row["minus"]), _difference(row["jga"], drawn), "", ""))
    return Grid(("", "JGA", "mean of services", "seconds"), tuple(rows), _about_intervals(drawn))


def by_size(results: Sequence[Results]) -> Grid:
    """A column a support size: JGA of each method, then what adapting has over each other one, and
    fine-tuning over none.
    """
    runs, splits, own = runs_of(results), _splits(results), _own_split(results)
    sizes, drawn = sorted(values_of(runs, "shots")), _drawn(results)
    shown = "{:.3f} [{:.3f}, {:.3f}]" if drawn else "{:.3f}"
    found = {
        (row["method"], row["shots"]): shown.format(*row["jga"])
        for row in estimates(runs, splits, own_split=own)
    }
    rows = [
        (name_of(method), *(found.get((method, size), "") for size in sizes))
        for method in methods_of(runs)
    ]
    untaught = [run for run in runs if run["method"] in (_TUNED, "zero-shot")]
    gains = {
        (_minus(row["minus"], main), row["shots"]): _difference(row["jga"], drawn)
        + (f", p {p_value(row['p'])}" if drawn and row["p"] is not None else "")
        for main, compared in ((MAIN, runs), (_TUNED, untaught))
        for row in comparisons(compared, splits, main, own_split=own)
    }
    for name in dict.fromkeys(name for name, _ in gains):
        rows.append((name, *(gains.get((name, size), "") for size in sizes)))
    tested = any(", p " in gain for gain in gains.values())
    p = " p is of a paired permutation test of this one difference." if tested else ""
    return Grid(("JGA", *map(dialogues, sizes)), tuple(rows), _about_intervals(drawn) + p)


def costs(results: Sequence[Results]) -> Grid:
    """A column a support size: seconds and gradient steps of learning, the median over runs."""
    runs = runs_of(results)
    sizes = [size for size in sorted(values_of(runs, "shots")) if size]

    def cell(method: str, size: int) -> str:
        chosen = of(runs, method, size)
        if not chosen:
            return ""
        # files of an earlier version have the wall's only
        seconds = statistics.median(r.get("computed", r["seconds"]) for r in chosen)
        if not all("steps" in r for r in chosen):  # files of an earlier version
            return f"{seconds:.1f} s"
        return f"{seconds:.1f} s, {statistics.median(r['steps'] for r in chosen):.0f} steps"

    learners = [method for method in methods_of(runs) if method != "zero-shot"]
    rows = [(name_of(m), *(cell(m, size) for size in sizes)) for m in learners]
    return Grid(("learning", *map(dialogues, sizes)), tuple(rows))


def by_service(results: Sequence[Results]) -> Grid:
    """A row a service, a column a method on five dialogues: JGA, the mean over turns."""
    runs = runs_of(results)
    methods = methods_of(runs)
    rows = []
    for service in sorted(values_of(runs, "service")):
        found = [of(runs, method, SHOTS) for method in methods]
        own = [[r for r in chosen if r["service"] == service] for chosen in found]
        cells = ["" if math.isnan(jga) else f"{jga:.3f}" for jga in map(jga_of, own)]
        rows.append((service, *cells))
    return Grid(("JGA", *(name_of(m) for m in methods)), tuple(rows))


def curve(results: Sequence[Results], file: BinaryIO, *, title: str) -> None:
    """JGA against support size."""
    own = _own_split(results)
    few_shot_curve(estimates(runs_of(results), _splits(results), own_split=own), file, title)


_CURVE = "Few-shot curve, SGD dev, services unseen in training"

TABLES: Tuple[Table, ...] = (
    Table(
        "few-shot",
        _CURVE,
        "Single-service dialogues of SGD dev, text only. JGA is joint goal accuracy, the mean over "
        "turns, with its 95% interval; differences are paired.",
        ("few_shot_sgd_dev.json",),
        """\
rasa-onramp evaluate --data $SGD/dev --services unseen --shots 0,1,2,5,10 --seeds 5 --limit 6 \\
  --method zero-shot,adapted,finetune --jobs 2 --threads 1 \\
  --json bench/results/few_shot_sgd_dev.json --resume""",
        by_size,
        partial(curve, title=_CURVE),
        parts=(
            Part("few-shot-costs", "What learning takes", costs),
            Part("few-shot-five", f"{SHOTS} dialogues", five),
            Part("few-shot-services", f"By service, {SHOTS} dialogues", by_service),
            Part("headline", "In a sentence", headline, quoted=True),
            Part("few-shot-kinds", "Kinds of service", kinds, quoted=True),
            Part("few-shot-behind", "Where adapting is behind", behind, quoted=True),
        ),
    ),
    Table(
        "few-shot-budgets",
        "Plain fine-tuning at adapting's steps and time",
        "The same services: plain fine-tuning for as many gradient steps as adapting takes, of one "
        "dialogue each where adapting reads two, and for as long as it computed on the same "
        "dialogues, in the same process.",
        ("few_shot_budgets_sgd_dev.json",),
        """\
rasa-onramp evaluate --data $SGD/dev --services unseen --shots 1,5 --seeds 5 --limit 6 \\
  --method zero-shot,adapted,finetune,finetune-steps,finetune-time --jobs 2 --threads 1 \\
  --json bench/results/few_shot_budgets_sgd_dev.json --resume""",
        by_size,
        parts=(Part("few-shot-budgets-costs", "What that takes", costs),),
    ),
    Table(
        "own",
        "Five dialogues, our own four domains",
        "The support and held-out dialogues of dialogue_data/, the bot's own values marked as in a "
        "running bot; seeds shuffle the support. JGA is joint goal accuracy, the mean over turns, "
        "± the standard deviation over these orders.",
        ("own_domains.json",),
        """\
rasa-onramp evaluate --data dialogue_data --services all --own-split --offers --shots 0,5 \\
  --seeds 3 --jobs 2 --threads 1 --json bench/results/own_domains.json""",
        five,
        parts=(
            Part("own-sizes", "By number of dialogues", by_size),
            Part("own-services", f"By service, {SHOTS} dialogues", by_service),
            Part("own-values", "Single values", single_values, quoted=True),
            Part("own-headline", "In a sentence", own_headline, quoted=True),
        ),
    ),
)


def _splits(results: Sequence[Results]) -> List[Dict[str, Any]]:
    return [split for one in results for split in one.get("splits", [])]


def _own_split(results: Sequence[Results]) -> bool:
    return any(one.get("settings", {}).get("own_split") for one in results)


def _drawn(results: Sequence[Results]) -> str:
    """What intervals are drawn over; empty where there can be none."""
    named = {(split["service"], split["seed"]) for split in _splits(results)}
    told = {(run["service"], run["seed"]) in named for run in runs_of(results)}
    if _own_split(results):
        return "held-out dialogues" if told == {True} else ""
    sets = Counter(service for service, _ in named)
    if told == {True} and max(sets.values()) == 1:
        return "dialogues, one support set a service,"
    if told == {True, False}:
        return "support sets and, where the files tell them apart, dialogues"
    return "support sets and dialogues" if told == {True} else "support sets"


def _about_intervals(drawn: str) -> str:
    if not drawn:
        return (
            "No intervals: all orders have the same support dialogues and the same held-out ones, "
            "and the file has no figures of single dialogues."
        )
    return f"Intervals are 95%, by bootstrap over {drawn}, services as they are."


def _minus(method: str, main: str = MAIN) -> str:
    return f"{name_of(main)} minus {name_of(method).split(' (')[0]}"


def _difference(jga: Sequence[float], drawn: str) -> str:
    return ("{:+.3f} [{:+.3f}, {:+.3f}]" if drawn else "{:+.3f}").format(*jga)
