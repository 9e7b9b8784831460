"""Ranks and encoders that trackers were trained with: what bench/trained_ablations.py wrote."""

from __future__ import annotations

from typing import List, Optional, Sequence

from rasa_onramp.evaluation.bootstrap import mean_estimate
from result_tables.paired import NOTE, ONE_TRAINING, Units, dialogues, interval, minus, units
from result_tables.table import Grid, Part, Results, Table

__all__ = ["LESSER", "TABLE", "WHOLE", "rank_name"]

#: What the start was trained from.
WHOLE = "whole"
#: What rows call it, and the encoders that are trained beside it.
_TOLD = {
    WHOLE: "as pretrained, all layers",
    "half": "as pretrained, first half of the layers",
    "untrained": "untrained layers, pretrained word embeddings",
}
LESSER = tuple(name for name in _TOLD if name != WHOLE)
#: The rank that others are compared with: what ships has it.
_SHIPPED = 8


def rank_name(rank: int) -> str:
    """What a tracker with updates of that rank is called."""
    return f"rank {rank}"


def ranks(results: Sequence[Results]) -> Optional[Grid]:
    """A row a rank: what an adapter takes in a store, its JGA, and minus that of 8, as ships."""
    trained = dict.fromkeys(name for one in results for name in _trackers(one))
    names = [name for name in trained if name not in _TOLD]
    if not names:
        return None
    shots, base = _shots(results), rank_name(_SHIPPED)
    rows = []
    for name in sorted(names, key=lambda name: int(name.split()[1])):
        own = [_units(results, name, "adapted", size) for size in shots]
        (weighs,) = {one["adapter_bytes"][name] for one in _with(results, name)}
        cells = [str(len(_with(results, name))), f"{weighs / 1e3:.0f}"]
        cells += [interval(_units(results, name, "zero-shot", shots[-1])), *map(interval, own)]
        for size in shots:
            shipped = _units(results, base, "adapted", size, name)
            told = ""
            if name != base and shipped:
                measured = _units(results, name, "adapted", size, base)
                told = minus(measured, shipped, tested=False)
            cells.append(told)
        rows.append((name, *cells, _took(results, name, "adapted")))
    header = (
        *("", "trainings", "kB an adapter", "no dialogue", *map(dialogues, shots)),
        *(f"{dialogues(size)}: minus {base}" for size in shots),
        f"seconds to adapt to {dialogues(shots[-1])}",
    )
    note = (
        "JGA with its 95% interval, by bootstrap over support sets and dialogues, of the mean of "
        "trainings; differences are of trainings with the same seed. Trainings are too few to "
        "tell ranks apart by a test, and how they vary isn't in the intervals."
    )
    apart = [f"{name}: {_apart(results, name)}" for name in names if len(_with(results, name)) > 1]
    if apart:
        note += f" By training, without and with {dialogues(shots[-1])}: {'; '.join(apart)}."
    return Grid(header, tuple(rows), note)


def encoders(results: Sequence[Results]) -> Optional[Grid]:
    """A row an encoder: its size, what JGA it has, and minus the whole one."""
    names = [name for name in _TOLD if _with(results, name)]
    if len(names) < 2:
        return None
    most = _shots(results)[-1]
    rows = []
    for name in names:
        cells = [f"{_with(results, name)[0]['parameters'][name] / 1e6:.1f}"]
        for method in ("zero-shot", "finetune", "adapted"):
            measured = _units(results, name, method, most)
            cells.append(interval(measured))
            if method == "adapted":
                continue
            whole = _units(results, WHOLE, method, most, name)
            cells.append("" if name == WHOLE else minus(measured, whole, tested=False))
        rows.append((_TOLD[name], *cells, _took(results, name, "finetune")))
    first, tuned = "no dialogue", f"{dialogues(most)}, fine-tuned"
    header = (
        *("", "million parameters", first, f"{first}: minus all layers"),
        *(tuned, f"{tuned}: minus all layers", f"{dialogues(most)}, first rates"),
        "seconds to fine-tune",
    )
    return Grid(header, tuple(rows), f"{NOTE} {ONE_TRAINING}")


def about(results: Sequence[Results]) -> Optional[str]:
    """What was trained and measured."""
    found = results[0]
    how = found["settings"]
    services = sorted({run["service"] for run in found["runs"]})
    asked = units(found, _trackers(found)[0], "zero-shot", max(how["shots"])).values()
    turns = int(sum(number for _, number in asked))
    seeds = ", ".join(str(seed) for seed in sorted(one["settings"]["seed"] for one in results))
    steps = {one["steps"][name] for one in results for name in LESSER if name in one["steps"]}
    trained = f" Encoders: {how['encoder']}, {max(steps)} multi-task steps." if steps else ""
    return (
        f"Ranks: {how['meta_steps']} outer steps of {how['episodes_a_step']} episodes with "
        f"{how['inner_steps']} inner steps each.{trained} Seeds of training: {seeds}; processes "
        f"of {how['threads']} thread(s). Measured on {how['seeds']} support sets a service and "
        f"{turns} held-out turns of {', '.join(f'`{each}`' for each in services)} ({how['data']})."
    )


def lacks(results: Sequence[Results]) -> List[str]:
    """Encoders that weren't trained."""
    return [f"`--encoders {name}`" for name in LESSER if not _with(results, name)]


TABLE = Table(
    "trained-ablations",
    "Ablations that take training anew",
    "The rank of the low-rank updates, each meta-trained from one multi-task start, and the "
    "encoder, each trained multi-task by as many steps.",
    ("trained_ablations_sgd_dev.json", "trained_ablations_sgd_dev_1.json"),
    """\
python bench/trained_ablations.py --start runs/start/multitask --train $SGD/train \\
  --paraphrases $SGD/sgd_x/data/v?/train --runs runs/ablations --data $SGD/dev \\
  --shots 1,5 --seeds 2 --limit 4 --meta-steps 32 --threads 1 --jobs 2 \\
  --encoders half untrained --json bench/results/trained_ablations_sgd_dev.json
python bench/trained_ablations.py --start runs/start/multitask --train $SGD/train \\
  --paraphrases $SGD/sgd_x/data/v?/train --runs runs/ablations-1 --data $SGD/dev \\
  --shots 1,5 --seeds 2 --limit 4 --meta-steps 32 --threads 1 --jobs 2 --seed 1 --ranks 2 8 \\
  --json bench/results/trained_ablations_sgd_dev_1.json""",
    about,
    parts=(
        Part("trained-ranks", "Rank of the updates", ranks),
        Part("trained-encoders", "The encoder", encoders),
    ),
    page="docs/ablations.md",
    lacks=lacks,
)


def _trackers(found: Results) -> List[str]:
    return list(dict.fromkeys(run["tracker"] for run in found["runs"]))


def _with(results: Sequence[Results], name: str) -> List[Results]:
    """Those that measured a tracker of that name."""
    return [one for one in results if name in _trackers(one)]


def _apart(results: Sequence[Results], name: str) -> str:
    """JGA of each training, zero-shot and adapted to the largest support."""
    found = []
    for one in sorted(_with(results, name), key=lambda one: int(one["settings"]["seed"])):
        pair = [
            mean_estimate(units(one, name, method, _shots(results)[-1])).value
            for method in ("zero-shot", "adapted")
        ]
        found.append(f"seed {one['settings']['seed']} {pair[0]:.3f} and {pair[1]:.3f}")
    return ", ".join(found)


def _units(
    results: Sequence[Results], name: str, method: str, shots: int, other: str = ""
) -> Units:
    """What all trainings of a tracker had together, dialogue by dialogue; those alone that an
    `other` one was trained beside, if it is named.
    """
    found: Units = {}
    for one in _with(results, name):
        if not other or other in _trackers(one):
            for path, (total, number) in units(one, name, method, shots).items():
                known = found.get(path, (0.0, 0.0))
                found[path] = known[0] + total, known[1] + number
    return found


def _shots(results: Sequence[Results]) -> List[int]:
    return sorted({run["shots"] for one in results for run in one["runs"]} - {0})


def _took(results: Sequence[Results], name: str, method: str) -> str:
    """Mean seconds for the largest support."""
    wanted = (name, method, _shots(results)[-1])
    own = [
        run["seconds"]
        for one in results
        for run in one["runs"]
        if (run["tracker"], run["method"], run["shots"]) == wanted
    ]
    return f"{sum(own) / len(own):.1f}"
