"""Joint meta-training: what bench/joint.py wrote."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from result_tables.paired import ONE_TRAINING, Units, interval, minus
from result_tables.table import Grid, Part, Results, Table

__all__ = ["LABELLED", "PREDICTED", "START", "TABLE"]

#: The replies that all trainings go on from.
START = "start"

#: The kinds of states that replies are measured in.
LABELLED, PREDICTED = "labelled", "predicted"

#: The share of episodes in predicted states that is training separately.
_SEPARATELY = "0"


def losses(results: Sequence[Results]) -> Optional[Grid]:
    """A row a training: the loss in both kinds of states, and what differs in predicted ones."""
    (found,) = results
    names = list(dict.fromkeys(run["replies"] for run in found["runs"]))
    units = {(n, k): _units(found, n, k) for n in names for k in (LABELLED, PREDICTED)}
    rows = []
    for name in names:
        cells = []
        for kind in (LABELLED, PREDICTED):
            cells.append(interval(units[name, kind]))
        for base in (START, _SEPARATELY):
            told = ""
            if name != base and base in names:
                told = minus(units[name, PREDICTED], units[base, PREDICTED], tested=False)
            cells.append(told)
        seconds = found["seconds"].get(name)
        cells.append("" if seconds is None else f"{seconds / 60:.1f}")
        rows.append((_name(name), *cells))
    header = (
        *("", "in labelled states", "in predicted states", "predicted: minus start"),
        *("predicted: minus separately", "minutes of training"),
    )
    note = (
        "Negative log likelihood of held-out replies, nats a token; less is better. 95% intervals "
        "by bootstrap over support sets and dialogues, services as they are; differences are "
        f"paired. {ONE_TRAINING} In predicted states, replies that state what the state lacks "
        "aren't counted."
    )
    return Grid(header, tuple(rows), note)


def about(results: Sequence[Results]) -> Optional[str]:
    """What was trained and measured."""
    (found,) = results
    how, runs = found["settings"], [r for r in found["runs"] if r["replies"] == START]
    tokens = {
        kind: int(sum(one[0] for run in runs for one in run[kind]))
        for kind in (LABELLED, PREDICTED)
    }
    jga = sum(run["state_jga"] for run in runs) / len(runs)
    return (
        f"{how['meta_steps']} outer steps of {how['episodes_a_step']} episodes, seed "
        f"{how['seed']}, processes of {how['threads']} thread(s). Measured after adapting to "
        f"{how['shots']} dialogues, on {how['seeds']} support sets a service: "
        f"{tokens[LABELLED]:,} tokens of replies in labelled states, {tokens[PREDICTED]:,} in "
        f"predicted ones, whose joint goal accuracy is {jga:.2f} (mean of support sets), of "
        + ", ".join(f"`{name}`" for name in sorted({run["service"] for run in runs}))
        + f" ({how['data']})."
    )


TABLE = Table(
    "joint",
    "Joint meta-training",
    "Tracker and replies go on from what ships with as many outer steps on the same episodes; what "
    "differs is the share of episodes whose replies are learned in predicted states.",
    ("joint_sgd_dev.json",),
    """\
python bench/joint.py --train $SGD/train --paraphrases $SGD/sgd_x/data/v?/train \\
  --runs runs/joint --data $SGD/dev --meta-steps 16 --seeds 2 --limit 4 --threads 1 --jobs 2 \\
  --json bench/results/joint_sgd_dev.json""",
    about,
    parts=(Part("joint-losses", "Loss of replies", losses),),
    page="docs/adaptation.md",
)


def _name(replies: str) -> str:
    if replies == START:
        return START
    if replies == _SEPARATELY:
        return "separately: labelled states only"
    return f"jointly: {float(replies):.0%} of episodes in predicted states"


def _units(found: Results, name: str, kind: str) -> Units:
    """Of each held-out dialogue of each support set, its loss and its learned tokens."""
    units: Units = {}
    for run in found["runs"]:
        if run["replies"] == name:
            units.update(_of_run(run, kind))
    return units


def _of_run(run: Mapping[str, Any], kind: str) -> Units:
    where = (run["service"], run["seed"])
    return {
        (*where, dialogue): (nats, tokens)
        for dialogue, (tokens, nats) in zip(run["held_out"], run[kind])
    }
