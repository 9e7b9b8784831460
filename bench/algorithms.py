"""Meta-learning algorithms side by side: each goes on from one start, and is measured as it adapts.

    rasa-onramp meta-train --stage multitask --data $SGD/train … --run runs/start
    python bench/algorithms.py --start runs/start/multitask --train $SGD/train --paraphrases … \\
        --runs runs/algorithms --data $SGD/dev --json bench/results/algorithms_sgd_dev.json
    python bench/figures.py --write        # puts the table into docs/algorithms.md

Every algorithm of `meta-train --algorithm` takes as many outer steps on the same episodes. Beside
them stands what they have to beat: the start, and the start after some minutes more of multi-task
training, each fine-tuned, and each adapted with the rates that meta-training begins with. All are
measured on the same support sets and held-out dialogues of services unseen in training.

A training that was stopped goes on where it was, and what is measured is kept at once in
OUT.journal; the same command goes on with both.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch

from measuring import as_command, finish, measure_pieces, refuse_others
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.figures_file import plain
from rasa_onramp.evaluation.few_shot import measure
from rasa_onramp.evaluation.journal import Journal, Row
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.metalearning.algorithms import ALGORITHMS
from rasa_onramp.metalearning.training import MetaConfig, TrackerMetaLearner
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from result_tables.algorithms import LONGER, START, TABLE
from trainings import Training, data_options, train_all

__all__ = ["main", "trainings", "untrained_rates"]


def trainings(options: argparse.Namespace) -> List[Training]:
    """All that go on from the start; those that take longest first."""
    data = ["--start", str(options.start), *data_options(options)]
    found = []
    for name in sorted(options.algorithms, key=lambda name: -ALGORITHMS[name].order):
        how = ["--stage", "meta", "--algorithm", name, "--meta-steps", str(options.meta_steps)]
        found.append(Training(name, options.runs / name, "tracker", ("meta-train", *how, *data)))
    how = ["--stage", "multitask", "--minutes", str(options.longer_minutes)]
    longer = Training(LONGER, options.runs / "longer", "multitask", ("meta-train", *how, *data))
    return [*found, longer]


def untrained_rates(tracker: StateTracker) -> StateTracker:
    """With low-rank updates and inner rates as meta-training begins, so that it can adapt."""
    begins = MetaConfig(algorithm="fomaml")
    TrackerMetaLearner(tracker, begins).finish()
    tracker.card["adaptation"] = begins.adaptation
    return tracker


def load_all(folders: Mapping[str, str]) -> Dict[str, StateTracker]:
    """The trackers of all names."""
    found = {name: load_tracker(folder) for name, folder in folders.items()}
    return {
        name: tracker if tracker.rates else untrained_rates(tracker)
        for name, tracker in found.items()
    }


def rows_of(
    trackers: Mapping[str, StateTracker], piece: Tuple[str, Split], protocol: Protocol
) -> List[Row]:
    """Measure one tracker on one split, by all methods that make sense of it."""
    name, split = piece
    methods = ("zero-shot", "finetune", "adapted")
    if name in ALGORITHMS:
        methods = ("zero-shot", "adapted")
    how = replace(protocol, methods=methods)
    tracker = trackers[name]
    about = {"tracker": name, "checkpoint": tracker.digest}
    return plain([{**about, **result.row()} for result in measure(tracker, split, how)])


def options_of(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--start", type=Path, required=True, help="what `meta-train --stage multitask` wrote")
    add("--train", type=Path, required=True, help="corpus to train on")
    add("--paraphrases", type=Path, nargs="+", default=[], help="its schemas in other words")
    add("--runs", type=Path, required=True, help="folder for the trainings' runs")
    add("--data", type=Path, required=True, help="corpus to measure on")
    add("--services", default="unseen", help="unseen, all, or names with commas")
    add("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS), metavar="NAME")
    add("--meta-steps", type=int, default=32, help="outer steps of each algorithm")
    add("--longer-minutes", type=float, default=10.0, help="of more multi-task training")
    add("--shots", default="1,5", help="support dialogues")
    add("--seeds", type=int, default=2, help="support sets a service")
    add("--limit", type=int, default=4, help="held-out dialogues a service and seed, at most")
    add("--seed", type=int, default=0, help="of the trainings")
    add("--threads", type=int, default=1, help="of each process")
    add("--jobs", type=int, default=1, help="processes")
    add("--json", type=Path, required=True)
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Train and measure what isn't yet, write and print."""
    options = options_of(arguments)
    torch.set_num_threads(options.threads)
    start = load_tracker(str(options.start))
    corpus = read_all([str(options.data)], None)
    shots = tuple(int(each) for each in options.shots.split(","))
    protocol = Protocol(shots=shots, seeds=options.seeds, limit=options.limit)
    services = choose_services(corpus, options.services, start.training_services)
    settings: Dict[str, Any] = {
        "start": start.digest,
        "data": "/".join(options.data.resolve().parts[-2:]),
        "services": services,
        "meta_steps": options.meta_steps,
        "longer_minutes": options.longer_minutes,
        "episodes_a_step": MetaConfig.episodes_a_step,
        "inner_steps": MetaConfig.inner_steps,
        **{name: getattr(options, name) for name in ("seed", "seeds", "limit", "threads")},
        "shots": list(shots),
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal.beside(options.json, settings)
    wanted = trainings(options)
    seconds = train_all(wanted, jobs=options.jobs)
    folders = {START: str(options.start), **{t.name: str(t.made) for t in wanted}}
    digests = {name: load_tracker(folder).digest for name, folder in folders.items()}
    refuse_others(journal, "tracker", digests, journal.finished.get("trackers", {}))
    done = {(row["tracker"], row["service"], row["seed"]) for row in journal.rows}
    drawn = list(splits(corpus, services, protocol))
    pieces = [
        (name, split) for split in drawn for name in folders if (name, *split.name) not in done
    ]
    measure_pieces(
        journal,
        partial(rows_of, protocol=protocol),
        pieces,
        jobs=options.jobs,
        load=partial(load_all, folders),
        threads=options.threads,
    )
    results = {
        "settings": settings,
        "trackers": digests,
        "seconds": seconds,
        "splits": [split.ids for split in drawn],
        "runs": journal.rows,
    }
    finish(journal, results, options.json, TABLE)


if __name__ == "__main__":
    as_command(main)
