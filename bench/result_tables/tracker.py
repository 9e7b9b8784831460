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

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.intervals import MAIN, comparisons, estimates
from rasa_onramp.evaluation.methods import METHOD_NAMES
from rasa_onramp.evaluation.plots import few_shot_curve
from result_tables.table import Grid, Part, Results, Table

__all__ = ["SHOTS", "TABLES", "headline"]

#: The support size of the README's tables.
SHOTS = 5

#: The baseline that is itself compared with no learning at all.
_TUNED = "finetune"

Run = Dict[str, Any]


def headline(results: Sequence[Results]) -> str:
    """What five dialogues bring, in a sentence."""
    before, _, adapted = (f"{float(one):.0%}" for one in _gain(results))
    return (
        f"**After 5 dialogues the whole state is right at {adapted} of turns, instead of "
        f"{before}** (joint\ngoal accuracy on services that it never met; "
        "[all figures](#figures))."
    )


def behind(results: Sequence[Results]) -> str:
    """On which services adapting to five dialogues is behind which other method, by how much."""
    runs, told = _runs(results), []
    for method in (method for method in _methods(runs) if method != MAIN):
        gaps = []
        for service in sorted(_all(runs, "service")):
            other, ours = (
                _jga([r for r in _of(runs, each, SHOTS) if r["service"] == service])
                for each in (method, MAIN)
            )
            if other - ours >= 0.0005:
                gaps.append(f"{service} ({other - ours:.3f})")
        told.append(f"{_name(method)} on {', '.join(gaps) or 'none'}")
    return (
        "By service ([all of them](docs/results.md#by-service-5-dialogues)), adapting to "
        f"{SHOTS} dialogues is behind\n" + ";\n".join(told) + "."
    )


def single_values(results: Sequence[Results]) -> str:
    """What adapting to five dialogues gets right of values and intents, in a sentence."""
    found = _of([row for one in results for row in one["summary"]], MAIN, SHOTS)
    turns = sum(row["turns"] for row in found)
    goals, intents = (
        sum(row[key] * row["turns"] for row in found) / turns
        for key in ("average_goal_accuracy", "intent_accuracy")
    )
    return (
        f"Of single values the adapted tracker gets {goals:.0%} right (average goal accuracy), of\n"
        f"intents {intents:.0%}: a value missed early keeps every later state of its dialogue "
        "wrong."
    )


def own_headline(results: Sequence[Results]) -> str:
    """What five dialogues bring on our own domains, in a sentence."""
    before, tuned, adapted = _gain(results)
    return (
        f"On our own four domains, whose users talk as people do: {before} → {adapted} ({tuned} by "
        "plain\nfine-tuning)."
    )


def five(results: Sequence[Results]) -> Grid:
    """A row a method on five dialogues, then what adapting has over each other method."""
    runs, rows = _runs(results), []
    for method in _methods(runs):
        found = _of(runs, method, SHOTS)
        sets = [_jga([r for r in found if r["seed"] == s]) for s in sorted(_all(found, "seed"))]
        services = sorted(_all(found, "service"))
        each = [_jga([r for r in found if r["service"] == s]) for s in services]
        mean = statistics.fmean([jga for jga in each if not math.isnan(jga)] or [math.nan])
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
    drawn = _drawn(results)
    own, of_five = _own_split(results), [r for r in runs if r["shots"] == SHOTS]
    for row in comparisons(of_five, _splits(results), own_split=own):
        rows.append((_minus(row["minus"]), _difference(row["jga"], drawn), "", ""))
    return Grid(("", "JGA", "mean of services", "seconds"), tuple(rows), _about_intervals(drawn))


def by_size(results: Sequence[Results]) -> Grid:
    """A column a support size: JGA of each method, then what adapting has over each other one, and
    fine-tuning over none.
    """
    runs, splits, own = _runs(results), _splits(results), _own_split(results)
    sizes, drawn = sorted(_all(runs, "shots")), _drawn(results)
    shown = "{:.3f} [{:.3f}, {:.3f}]" if drawn else "{:.3f}"
    found = {
        (row["method"], row["shots"]): shown.format(*row["jga"])
        for row in estimates(runs, splits, own_split=own)
    }
    rows = [
        (_name(method), *(found.get((method, size), "") for size in sizes))
        for method in _methods(runs)
    ]
    tested = drawn and _can_be_told(runs, own)
    untaught = [run for run in runs if run["method"] in (_TUNED, "zero-shot")]
    gains = {
        (_minus(row["minus"], main), row["shots"]): _difference(row["jga"], drawn)
        + (f", p {_p(row['p'])}" if tested else "")
        for main, compared in ((MAIN, runs), (_TUNED, untaught))
        for row in comparisons(compared, splits, main, own_split=own)
    }
    for name in dict.fromkeys(name for name, _ in gains):
        rows.append((name, *(gains.get((name, size), "") for size in sizes)))
    p = " p is of a paired permutation test of this one difference." if tested else ""
    return Grid(("JGA", *map(_dialogues, sizes)), tuple(rows), _about_intervals(drawn) + p)


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

    learners = [method for method in _methods(runs) if method != "zero-shot"]
    rows = [(_name(m), *(cell(m, size) for size in sizes)) for m in learners]
    return Grid(("learning", *map(_dialogues, sizes)), tuple(rows))


def by_service(results: Sequence[Results]) -> Grid:
    """A row a service, a column a method on five dialogues: JGA, the mean over turns."""
    runs = _runs(results)
    methods = _methods(runs)
    rows = []
    for service in sorted(_all(runs, "service")):
        found = [_of(runs, method, SHOTS) for method in methods]
        own = [[r for r in chosen if r["service"] == service] for chosen in found]
        cells = ["" if math.isnan(jga) else f"{jga:.3f}" for jga in map(_jga, own)]
        rows.append((service, *cells))
    return Grid(("JGA", *(_name(m) for m in methods)), tuple(rows))


def curve(results: Sequence[Results], file: BinaryIO, *, title: str) -> None:
    """JGA against support size."""
    own = _own_split(results)
    few_shot_curve(estimates(_runs(results), _splits(results), own_split=own), file, title)


_CURVE = "Few-shot curve, SGD dev, services unseen in training"

TABLES: Tuple[Table, ...] = (
    Table(
        "few-shot",
        _CURVE,
        "Single-service dialogues of SGD dev, text only. JGA is joint goal accuracy, the mean over "
        "turns, with its 95% interval; differences are paired.",
        ("few_shot_sgd_dev.json",),
        """\
rasa-onramp evaluate --data $SGD/dev --services unseen --shots 0,1,2,5,10 --seeds 10 --limit 6 \\
  --method zero-shot,adapted,finetune,finetune-steps,finetune-time --jobs 2 --threads 1 \\
  --json bench/results/few_shot_sgd_dev.json --resume""",
        by_size,
        partial(curve, title=_CURVE),
        parts=(
            Part("few-shot-costs", "What learning takes", costs),
            Part("few-shot-five", f"{SHOTS} dialogues", five),
            Part("few-shot-services", f"By service, {SHOTS} dialogues", by_service),
            Part("headline", "In a sentence", headline, quoted=True),
            Part("few-shot-behind", "Where adapting is behind", behind, quoted=True),
        ),
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


def _gain(results: Sequence[Results]) -> List[str]:
    """JGA without learning, by plain fine-tuning, and by adapting."""
    runs = _runs(results)
    return [f"{_jga(_of(runs, name, SHOTS)):.2f}" for name in ("zero-shot", "finetune", MAIN)]


def _runs(results: Sequence[Results]) -> List[Run]:
    runs = [run for one in results for run in one["runs"]]
    names = [tuple(run[k] for k in ("service", "seed", "shots", "method")) for run in runs]
    for name, times in Counter(names).items():
        if times > 1:
            raise ConfigError(
                f"{times} runs of {name[0]}, seed {name[1]}, {name[2]} dialogues, {name[3]} in the "
                "files of one table; take one of them out of bench/results"
            )
    methods = {(shots, method) for _, _, shots, method in names}
    wanted = {(*name[:2], *column) for name in names for column in methods if name[2] == column[0]}
    for service, seed, shots, method in sorted(wanted - set(names)):
        raise ConfigError(
            f"{method} has no run of {service}, seed {seed}, {shots} dialogues, which another "
            "method of the table has; measure it, or leave the service or the method out"
        )
    return runs


def _splits(results: Sequence[Results]) -> List[Dict[str, Any]]:
    return [split for one in results for split in one.get("splits", [])]


def _own_split(results: Sequence[Results]) -> bool:
    return any(one.get("settings", {}).get("own_split") for one in results)


def _drawn(results: Sequence[Results]) -> str:
    """What intervals are drawn over; empty where there can be none."""
    named = {(split["service"], split["seed"]) for split in _splits(results)}
    told = {(run["service"], run["seed"]) in named for run in _runs(results)}
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
    """The mean over turns; a service without slots has none."""
    found = [run for run in runs if run["jga"] is not None]
    if not found:
        return math.nan
    return sum(r["jga"] * r["turns"] for r in found) / sum(r["turns"] for r in found)


def _dialogues(size: int) -> str:
    return f"{size} dialogue" if size == 1 else f"{size} dialogues"


def _minus(method: str, main: str = MAIN) -> str:
    return f"{_name(main)} minus {_name(method).split(' (')[0]}"


def _difference(jga: Sequence[float], drawn: str) -> str:
    return ("{:+.3f} [{:+.3f}, {:+.3f}]" if drawn else "{:+.3f}").format(*jga)


def _can_be_told(runs: Sequence[Run], own: bool) -> bool:
    """Whether there are support sets enough for a permutation test's p to be below 0.05."""
    sets = {(run["service"], 0 if own else run["seed"]) for run in runs}
    return 2 / 2 ** len(sets) < 0.05


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.4f}"
