"""Meta-learning algorithms from one start: what bench/algorithms.py wrote."""

from __future__ import annotations

from functools import partial
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.metalearning.algorithms import ALGORITHMS
from result_tables.ablations import ablation, defaults
from result_tables.paired import NOTE, ONE_TRAINING, dialogues, interval, minus, units
from result_tables.table import Grid, Part, Results, Table

__all__ = ["LONGER", "START", "TABLE", "TABLES"]

#: The multi-task tracker that all go on from, and the one that went on with multi-task training.
START, LONGER = "multi-task", "multi-task, longer"

#: (tracker, method): what is measured against the rest, and what they are called.
Contender = Tuple[str, str]
_TUNED, _PLAIN = (LONGER, "finetune"), (LONGER, "adapted")
_METHODS = {"finetune": "fine-tuned", "adapted": "first rates"}


def side_by_side(results: Sequence[Results]) -> Optional[Grid]:
    """A row a contender: JGA without and with dialogues, and what it has over the longer start."""
    (found,) = results
    shots = sorted({run["shots"] for run in found["runs"]} - {0})
    most = shots[-1]
    bases = {base: units(found, *base, most) for base in (_TUNED, _PLAIN)}
    rows = []
    for one in _contenders(found["runs"]):
        own = [units(found, *one, size) for size in shots]
        cells = [interval(units(found, one[0], "zero-shot", most)), *map(interval, own)]
        for base, other in bases.items():
            # adapting in two ways is a comparison of one training
            told = minus(own[-1], other, tested=one[0] == base[0])
            cells.append("" if one == base else told)
        rows.append((_name(one), *cells))
    columns = list(map(dialogues, shots))
    against = [f"{columns[-1]}: minus {_name(base)}" for base in bases]
    return Grid(("", "no dialogue", *columns, *against), tuple(rows), f"{NOTE} {ONE_TRAINING}")


def costs(results: Sequence[Results]) -> Optional[Grid]:
    """A row a contender: what its training took beyond the start, and what adapting takes."""
    (found,) = results
    shots = max(run["shots"] for run in found["runs"])
    steps = str(found["settings"]["meta_steps"])
    rows = []
    for tracker, method in _contenders(found["runs"]):
        own = [
            run
            for run in found["runs"]
            if (run["tracker"], run["method"], run["shots"]) == (tracker, method, shots)
        ]
        seconds = found["seconds"].get(tracker)
        rows.append(
            (
                _name((tracker, method)),
                steps if tracker in ALGORITHMS else "",
                f"{seconds / 60:.1f}" if seconds is not None else "",
                f"{sum(run['steps'] for run in own) / len(own):.0f}",
                f"{sum(run['seconds'] for run in own) / len(own):.1f}",
            )
        )
    header = ("", "outer steps", "minutes of training", f"steps on {shots} dialogues", "seconds")
    return Grid(header, tuple(rows))


def lacks(results: Sequence[Results]) -> List[str]:
    """Algorithms that weren't trained."""
    (found,) = results
    measured = {run["tracker"] for run in found["runs"]}
    return [name for name in ALGORITHMS if name not in measured]


def about(results: Sequence[Results]) -> Optional[str]:
    """What was trained and measured."""
    (found,) = results
    how = found["settings"]
    services = sorted({run["service"] for run in found["runs"]})
    times = how.get("inner_rates", 1.0)
    rates = "" if times == 1.0 else f", whose rates begin at {times:g} times the usual ones"
    asked = units(found, START, "zero-shot", max(how["shots"])).values()
    turns = int(sum(number for _, number in asked))
    return (
        f"{how['meta_steps']} outer steps of {how['episodes_a_step']} episodes with "
        f"{how['inner_steps']} inner steps each{rates}, seed {how['seed']}; "
        f"{how['longer_minutes']:g} minutes of further multi-task training; processes of "
        f"{how['threads']} thread(s). "
        f"Measured on {how['seeds']} support sets a service and {turns} held-out turns of "
        + ", ".join(f"`{name}`" for name in services)
        + f" ({how['data']})."
    )


FIRST_RATES = Table(
    "first-rates",
    "The inner rates that meta-training begins with",
    "How the multi-task start that all algorithms go on from adapts to domains of neither corpus, "
    "by what the usual first rates are multiplied with.",
    ("first_rates_dev.json", "first_rates_dev_1.json"),
    """\
python bench/ablations.py --checkpoint runs/start/multitask --data training_data/dev \\
  --only rate_scale --json bench/results/first_rates_dev.json
python bench/ablations.py --checkpoint runs/start/multitask --data training_data/dev --shots 1 \\
  --only rate_scale --json bench/results/first_rates_dev_1.json""",
    defaults,
    parts=(
        Part("first-rates-scale", "The first rates' scale", partial(ablation, name="rate_scale")),
    ),
    page="docs/algorithms.md",
)

TABLE = Table(
    "algorithms",
    "Meta-learning algorithms side by side",
    "Each goes on from one multi-task start with as many outer steps; beside them the start and "
    "one that was trained multi-task for longer, each fine-tuned, and adapted with the rates that "
    "meta-training begins with.",
    ("algorithms_sgd_dev.json",),
    """\
torchrun --standalone --nproc-per-node 2 -m -- rasa_onramp.cli meta-train --stage multitask \\
  --data $SGD/train $(printf -- '--paraphrases %s ' $SGD/sgd_x/data/v?/train) \\
  --minutes 32 --threads 1 --run runs/start
python bench/algorithms.py --start runs/start/multitask --train $SGD/train \\
  --paraphrases $SGD/sgd_x/data/v?/train --runs runs/algorithms --data $SGD/dev \\
  --shots 1,5 --seeds 2 --limit 4 --meta-steps 32 --inner-rates 0.25 --threads 1 --jobs 2 \\
  --json bench/results/algorithms_sgd_dev.json""",
    about,
    parts=(
        Part("algorithms-jga", "Joint goal accuracy", side_by_side),
        Part("algorithms-costs", "What training and adapting take", costs),
    ),
    page="docs/algorithms.md",
    lacks=lacks,
)

TABLES = (FIRST_RATES, TABLE)


def _contenders(runs: Sequence[Mapping[str, Any]]) -> List[Contender]:
    """Multi-task ones first, then algorithms as they are named."""
    measured = {(run["tracker"], run["method"]) for run in runs}
    multitask = [(name, method) for name in (START, LONGER) for method in _METHODS]
    wanted = [*multitask, *((name, "adapted") for name in ALGORITHMS)]
    return [one for one in wanted if one in measured]


def _name(one: Contender) -> str:
    return one[0] if one[0] in ALGORITHMS else f"{one[0]}, {_METHODS[one[1]]}"
