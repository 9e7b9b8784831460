"""Ablations that take training anew: the rank of the low-rank updates, and the encoder.

    torchrun … -m -- rasa_onramp.cli meta-train --stage multitask … --run runs/start
    python bench/trained_ablations.py --start runs/start/multitask --train $SGD/train \\
        --paraphrases … --runs runs/ablations --data $SGD/dev \\
        --json bench/results/trained_ablations_sgd_dev.json
    python bench/figures.py --write        # puts the tables into docs/ablations.md

Each rank goes on from one multi-task start by Meta-SGD, with as many outer steps on the same
episodes. --encoders are trained multi-task by as many steps as the start was, in as many processes:
the first half of the start's encoder, and all of its layers as BERT begins, on pretrained word
embeddings. All are measured on the same support sets and held-out dialogues of services unseen in
training.

A training that was stopped goes on where it was, and what is measured is kept at once in
OUT.journal; the same command goes on with both.
"""

from __future__ import annotations

import argparse
from typing import List, Optional, Sequence

from encoder_variants import without
from measuring import as_command
from rasa_onramp.tracker.encoder import EncoderConfig
from rasa_onramp.weights import resolve_encoder
from result_tables.trained_ablations import LESSER, TABLE, WHOLE, rank_name
from side_by_side import compare, comparison_options
from trainings import Training, data_options, steps_of

__all__ = ["main", "options_of", "trainings"]


def trainings(options: argparse.Namespace) -> List[Training]:
    """One for each rank, and one for each encoder; those that take longest first."""
    data = data_options(options)
    found = []
    for name in options.encoders:
        steps = str(steps_of(options.start.parent, "multitask"))
        how = ["--stage", "multitask", "--steps", steps, "--encoder", encoder(name, options)]
        run, command = options.runs / f"encoder-{name}", ("meta-train", *how, *data)
        found.append(Training(name, run, "multitask", command, options.processes))
    for rank in sorted(options.ranks, reverse=True):
        how = ["--stage", "meta", "--algorithm", "meta-sgd", "--rank", str(rank)]
        how += ["--meta-steps", str(options.meta_steps), "--start", str(options.start)]
        how += ["--inner-rates", str(options.inner_rates)]
        run = options.runs / f"rank-{rank}"
        found.append(Training(rank_name(rank), run, "tracker", ("meta-train", *how, *data)))
    return found


def encoder(name: str, options: argparse.Namespace) -> str:
    """What `meta-train --encoder` takes for one of LESSER."""
    base, folder = options.encoder, options.runs / "encoders" / name
    if name == "untrained":
        return str(without(base, folder, training=False))
    layers = EncoderConfig.from_folder(resolve_encoder(base)).num_hidden_layers
    return str(without(base, folder, layers=(layers + 1) // 2))


def options_of(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    comparison_options(parser)
    add = parser.add_argument
    add("--ranks", type=int, nargs="*", default=[2, 4, 8, 16, 32], help="of the updates")
    add("--encoders", nargs="*", choices=LESSER, default=[], metavar="NAME", help="half, untrained")
    add("--encoder", default="all-MiniLM-L6-v2", help="that the start was trained from")
    add("--processes", type=int, default=2, help="that the start was trained by, under torchrun")
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Train and measure what isn't yet, write and print."""
    options = options_of(arguments)
    own = {name: getattr(options, name) for name in ("encoder", "processes")}
    whole = {WHOLE: options.start} if options.encoders else {}
    compare(options, own, trainings(options), TABLE, untrained=whole)


if __name__ == "__main__":
    as_command(main)
