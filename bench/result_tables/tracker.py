"""The tracker by the few-shot protocol: tables and curves of `rasa-onramp evaluate --json`.

Runs of several files are joined: services measured apart count as measured together. JGA is the
mean over turns, ± the standard deviation over support sets. Intervals are 95%, by bootstrap over
support sets and dialogues (10,000 resamples, seed 0); p is of a paired permutation test.
"""

from __future__ import annotations

import statistics
from collections import Counter
from functools import partial
from typing import Any, BinaryIO, Dict, List, Sequence, Tuple

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.intervals import MAIN, comparisons, estimates
from rasa_onramp.evaluation.methods import METHOD_NAMES
from rasa_onramp.evaluation.plots import few_shot_curve
from result_tables.table import Grid, Part, Results, Table

__all__ = ["SHOTS", "TABLES", "headline"]

#: The support size of the README's tables.
SHOTS = 5

Run = Dict[str, Any]


def headline(results: Sequence[Results]) -> str:
    """What five dialogues bring, in a sentence."""
    runs = _runs(results)
    before, tuned, adapted = (
        f"{_jga(_of(runs, method, SHOTS)):.2f}" for method in ("zero-shot", "finetune", "adapted")
    )
    return (
        f"**5 dialogues: joint goal accuracy {before} → {adapted}** on services\n"
        f"that it never met ({tuned} by plain fine-tuning; [all figures](#figures))."
    )


def five(results: Sequence[Results]) -> Grid:
    """A row a method on five dialogues, then what adapting has over each other method."""
    runs, rows = _runs(results), []
    for method in _methods(runs):
        found = _of(runs, method, SHOTS)
        sets = [_jga([r for r in found if r["seed"] == s]) for s in sorted(_all(found, "seed"))]
        services = sorted(_all(found, "service"))
        mean = statistics.fmean(_jga([r for r in found if r["service"] == s]) for s in services)
        spread = statistics.stdev(sets) if len(sets) > 1 else 0.0
        learns = "" if method == "zero-shot" else f" on {SHOTS} dialogues"
        seconds = statistics.fmean(r["seconds"] for r in found)
        rows.append(
            (
                _name(method) + learns,
                f"{_jga(found):.3f} ± {spread:.3f}",
                f"{mean:.3f}",
                f"{seconds:.1f}",
            )
        )
    for row in comparisons([r for r in runs if r["shots"] == SHOTS], _splits(results)):
        rows.append((_minus(row["minus"]), _difference(row["jga"]), "", ""))
    return Grid(("", "JGA", "mean of services", "seconds"), tuple(rows))


def by_size(results: Sequence[Results]) -> Grid:
    """A column a support size: JGA of each method, then what adapting has over each other one."""
    runs, splits = _runs(results), _splits(results)
    sizes = sorted(_all(runs, "shots"))
    found = {
        (row["method"], row["shots"]): "{:.3f} [{:.3f}, {:.3f}]".format(*row["jga"])
        for row in estimates(runs, splits)
    }
    rows = [
        (_name(method), *(found.get((method, size), "") for size in sizes))
        for method in _methods(runs)
    ]
    gains = {
        (row["minus"], row["shots"]): f"{_difference(row['jga'])}, p {_p(row['p'])}"
        for row in comparisons(runs, splits)
    }
    for method in dict.fromkeys(minus for minus, _ in gains):
        rows.append((_minus(method), *(gains.get((method, size), "") for size in sizes)))
    return Grid(("JGA", *map(_dialogues, sizes)), tuple(rows))


def costs(results: Sequence[Results]) -> Grid:
    """A column a support size: seconds and gradient steps of learning, the mean over runs."""
    runs = _runs(results)
    sizes = [size for size in sorted(_all(runs, "shots")) if size]

    def cell(method: str, size: int) -> str:
        chosen = _of(runs, method, size)
        if not chosen:
            return ""
        seconds = f"{statistics.fmean(r['seconds'] for r in chosen):.1f} s"
        if not all("steps" in r for r in chosen):  # files of an earlier version
            return seconds
        return f"{seconds}, {statistics.fmean(r['steps'] for r in chosen):.0f} steps"

    rows = [(_name(m), *(cell(m, size) for size in sizes)) for m in _methods(runs)[1:]]
    return Grid(("learning", *map(_dialogues, sizes)), tuple(rows))


def by_service(results: Sequence[Results]) -> Grid:
    """A row a service, a column a method on five dialogues: JGA, the mean over turns."""
    runs = _runs(results)
    methods = _methods(runs)
    rows = []
    for service in sorted(_all(runs, "service")):
        found = [_of(runs, method, SHOTS) for method in methods]
        own = [[r for r in chosen if r["service"] == service] for chosen in found]
        rows.append((service, *(f"{_jga(chosen):.3f}" for chosen in own)))
    return Grid(("JGA", *(_name(m) for m in methods)), tuple(rows))


def curve(results: Sequence[Results], file: BinaryIO, *, title: str) -> None:
    """JGA against support size."""
    few_shot_curve(estimates(_runs(results), _splits(results)), file, title)


def _parts(name: str) -> Tuple[Part, ...]:
    return (
        Part(f"{name}-sizes", "By number of dialogues", by_size),
        Part(f"{name}-services", f"By service, {SHOTS} dialogues", by_service),
    )


_CURVE = "Few-shot curve, SGD dev, services unseen in training"

TABLES: Tuple[Table, ...] = (
    Table(
        "few-shot",
        _CURVE,
        "Single-service dialogues of SGD dev, text only. JGA is joint goal accuracy, the mean over "
        "turns, with its 95% interval; differences are paired. Intervals are by bootstrap over "
        "support sets and dialogues, services as they are; p is of a paired permutation test of "
        "this one difference.",
        ("few_shot_sgd_dev.json",),
        """\
rasa-onramp evaluate --data $SGD/dev --services unseen --shots 0,1,2,5,10 --seeds 5 --limit 6 \\
  --method zero-shot,finetune,adapted --jobs 2 --threads 1 \\
  --json bench/results/few_shot_sgd_dev.json --resume""",
        by_size,
        partial(curve, title=_CURVE),
        parts=(
            Part("few-shot-costs", "What learning takes", costs),
            Part("few-shot-services", f"By service, {SHOTS} dialogues", by_service),
        ),
    ),
    Table(
        "sgd",
        "Five dialogues, SGD dev, services unseen in training",
        "Single-service dialogues of SGD dev, text only. JGA is joint goal accuracy, the mean over "
        "turns, ± the standard deviation over support sets. Intervals are 95%, by bootstrap over "
        "support sets and dialogues, services as they are; p is of a paired permutation test of "
        "this one difference.",
        ("sgd_dev_unseen_a.json", "sgd_dev_unseen_b.json"),
        """\
for s in Alarm_1,Banks_2,Flights_3,Services_4 Hotels_4,Media_2,Movies_2,Restaurants_2; do
  rasa-onramp evaluate --data $SGD/dev --services $s --shots 0,5 --seeds 5 --limit 5 \\
    --threads 1 --json $s.json   # sgd_dev_unseen_a.json, sgd_dev_unseen_b.json
done""",
        five,
        parts=(*_parts("sgd"), Part("headline", "In a sentence", headline, quoted=True)),
    ),
    Table(
        "own",
        "Five dialogues, our own four domains",
        "The support and held-out dialogues of dialogue_data/, the bot's own values marked as in a "
        "running bot; seeds shuffle the support.",
        ("own_domains.json",),
        """\
rasa-onramp evaluate --data dialogue_data --services all --own-split --offers --shots 0,5 \\
  --seeds 3 --threads 1 --json own_domains.json""",
        five,
        parts=_parts("own"),
    ),
)


def _runs(results: Sequence[Results]) -> List[Run]:
    runs = [run for one in results for run in one["runs"]]
    names = [tuple(run[k] for k in ("service", "seed", "shots", "method")) for run in runs]
    for name, times in Counter(names).items():
        if times > 1:
            raise ConfigError(
                f"{times} runs of {name[0]}, seed {name[1]}, {name[2]} dialogues, {name[3]} in the "
                "files of one table; take one of them out of bench/results"
            )
    return runs


def _splits(results: Sequence[Results]) -> List[Dict[str, Any]]:
    return [split for one in results for split in one.get("splits", [])]


def _of(runs: Sequence[Run], method: str, shots: int) -> List[Run]:
    return [r for r in runs if (r["method"], r["shots"]) == (method, shots)]


def _all(runs: Sequence[Run], key: str) -> set:
    return {run[key] for run in runs}


def _methods(runs: Sequence[Run]) -> List[str]:
    """Those that were measured, the one that all are compared with last."""
    measured = _all(runs, "method")
    known = [*METHOD_NAMES, *sorted(measured - METHOD_NAMES.keys())]
    others = [method for method in known if method in measured and method != MAIN]
    return [*others, *({MAIN} & measured)]


def _name(method: str) -> str:
    return METHOD_NAMES.get(method, method)


def _jga(runs: Sequence[Run]) -> float:
    """The mean over turns."""
    return sum(r["jga"] * r["turns"] for r in runs) / sum(r["turns"] for r in runs)


def _dialogues(size: int) -> str:
    return f"{size} dialogue" if size == 1 else f"{size} dialogues"


def _minus(method: str) -> str:
    return f"{MAIN} minus {_name(method).split(' (')[0]}"


def _difference(jga: Sequence[float]) -> str:
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*jga)


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.4f}"
