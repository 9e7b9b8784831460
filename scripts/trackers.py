"""Trackers from trackers: what was done by hand between the stages of the shipped one's training.

    python scripts/trackers.py merge FROM TO          # low-rank updates into the encoder
    python scripts/trackers.py lora FROM TO [RATES]   # fresh low-rank updates, which change nothing
    python scripts/trackers.py average TO FROM FROM…  # mean weights of runs from one start

`merge` leaves a tracker without updates and rates, to go on with multi-task pretraining
(`meta-train --stage multitask --start TO`). `lora` gives runs of different seeds, which are to be
averaged, one start (`meta-train --stage meta --start TO`), with the learned rates of the tracker
RATES if one is given. `average` takes runs of different seeds
from the same start, updates included (model soup; Wortsman et al. 2022,
https://arxiv.org/abs/2203.05482); rates are averaged as logarithms, as they are learned.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

import torch

from rasa_onramp.metalearning.lora import initial_lora
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.model import StateTracker

#: Of the shipped tracker's low-rank updates.
RANK = 8


def main() -> None:
    """Read, compute, write, and print the digest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("merge", "lora"):
        one = commands.add_parser(name)
        one.add_argument("source", type=Path)
        one.add_argument("target", type=Path)
        if name == "lora":
            one.add_argument("rates", type=Path, nargs="?")
    average = commands.add_parser("average")
    average.add_argument("target", type=Path)
    average.add_argument("sources", type=Path, nargs="+")
    options = parser.parse_args()
    sources = options.sources if options.command == "average" else [options.source]
    trackers = [load_tracker(source) for source in sources]
    if options.command == "average":
        made = averaged(trackers)
    else:
        made = {"merge": merged, "lora": with_updates}[options.command](trackers[0])
        if getattr(options, "rates", None) is not None:
            made.rates = load_tracker(options.rates).rates
    tokenizer = (sources[0] / "tokenizer.json").read_bytes()
    print(save_tracker(made, options.target, tokenizer))


@torch.no_grad()
def merged(tracker: StateTracker) -> StateTracker:
    """The tracker with each update B A added to its layer's weights; in place."""
    layers = dict(tracker.encoder.named_parameters())
    for name in [name for name in tracker.weights if name.endswith(".lora_A.weight")]:
        layer = name[: -len(".lora_A.weight")]
        update = tracker.weights.pop(f"{layer}.lora_B.weight") @ tracker.weights.pop(name)
        layers[f"{layer}.weight"].add_(update)
    tracker.rates, tracker.card = {}, {}
    return tracker


def with_updates(tracker: StateTracker) -> StateTracker:
    """The tracker with low-rank updates that are nothing yet; in place."""
    start = initial_lora(tracker.encoder.config, RANK, generator=torch.Generator().manual_seed(0))
    tracker.weights.update(start)
    return tracker


@torch.no_grad()
def averaged(trackers: Sequence[StateTracker]) -> StateTracker:
    """The first tracker with everybody's mean weights; in place."""
    first = trackers[0]
    states = [tracker.encoder.state_dict() for tracker in trackers]
    mean = {k: torch.stack([state[k] for state in states]).mean(0) for k in states[0]}
    first.encoder.load_state_dict(mean)
    first.weights = {
        k: torch.stack([t.weights[k] for t in trackers]).mean(0) for k in first.weights
    }
    first.rates = {
        k: torch.stack([t.rates[k].log() for t in trackers]).mean(0).exp() for k in first.rates
    }
    return first


if __name__ == "__main__":
    main()
