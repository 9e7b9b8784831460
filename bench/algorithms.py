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
from typing import List, Optional, Sequence

from measuring import as_command
from rasa_onramp.metalearning.algorithms import ALGORITHMS
from result_tables.algorithms import LONGER, START, TABLE
from side_by_side import RANK, compare, comparison_options
from trainings import Training, data_options

__all__ = ["main", "options_of", "trainings"]


def trainings(options: argparse.Namespace) -> List[Training]:
    """All that go on from the start; those that take longest first."""
    data = ["--start", str(options.start), *data_options(options)]
    found = []
    for name in sorted(options.algorithms, key=lambda name: -ALGORITHMS[name].order):
        how = ["--stage", "meta", "--algorithm", name, "--meta-steps", str(options.meta_steps)]
        how += ["--rank", str(RANK), "--inner-rates", str(options.inner_rates)]
        found.append(Training(name, options.runs / name, "tracker", ("meta-train", *how, *data)))
    # a third of the usual rates, as is advised for what is trained already
    how = ["--stage", "multitask", "--minutes", str(options.longer_minutes)]
    how += ["--encoder-rate", "1e-4", "--heads-rate", "3.3e-4"]
    longer = Training(LONGER, options.runs / "longer", "multitask", ("meta-train", *how, *data))
    return [*found, longer]


def options_of(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    comparison_options(parser)
    add = parser.add_argument
    add("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS), metavar="NAME")
    add("--longer-minutes", type=float, default=10.0, help="of more multi-task training")
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Train and measure what isn't yet, write and print."""
    options = options_of(arguments)
    own = {"longer_minutes": options.longer_minutes}
    compare(options, own, trainings(options), TABLE, untrained={START: options.start})


if __name__ == "__main__":
    as_command(main)
