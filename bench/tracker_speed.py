"""Speed of the tracker: a turn's latency, and adapting against the bare forward and backward pass.

    python bench/tracker_speed.py [--domain FILE.yml] [--repeats 5] [--threads 2]
                                   [--json OUT]

Both figures of the ratio are taken in this one run, alternately, on the same batches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.dialogue import State
from rasa_onramp.formats import read
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support, inner_batches
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.decoding import prepare
from rasa_onramp.tracker.together import track

ROOT = Path(__file__).resolve().parent.parent


def bare_seconds(tracker, schema, support, how) -> float:
    """Seconds of the forward and backward passes alone, on the batches that adapting takes."""
    runs = [list(inner_batches(tracker, schema, support, how, run=n)) for n in range(how.runs)]
    weights = {k: v.clone().requires_grad_(True) for k, v in tracker.weights.items()}
    began = time.perf_counter()
    for run in runs:
        for group in run:
            torch.autograd.grad(group_loss(tracker, group, weights), list(weights.values()))
    return time.perf_counter() - began


def turn_seconds(tracker, schema, dialogues, weights) -> list:
    """Seconds that each user turn takes to track, the schema already encoded."""
    domain = prepare(tracker, schema, weights)
    taken = []
    for dialogue in dialogues:
        state = State()
        for index, turn in enumerate(dialogue.turns):
            if turn.is_user:
                began = time.perf_counter()
                said = dialogue.turns[: index + 1]
                state = track(tracker, domain, said, state, offers=True).state
                taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domain", default=str(ROOT / "dialogue_data" / "parcel_delivery.yml"))
    parser.add_argument("--checkpoint", default=None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tracker = load_tracker(options.checkpoint)
    corpus = read(options.domain)
    (schema,) = corpus.schemas.values()
    support = [d for d in corpus.dialogues if d.split == "support"]
    held_out = [d for d in corpus.dialogues if d.split != "support"]
    how = Adaptation.of(tracker, offers=True).for_support(len(support))
    adapt_to_support(tracker, schema, support[:1], Adaptation(steps=1))  # warm up
    adapting, bare = [], []
    for _ in range(options.repeats):
        began = time.perf_counter()
        weights = adapt_to_support(tracker, schema, support, how)
        adapting.append(time.perf_counter() - began)
        bare.append(bare_seconds(tracker, schema, support, how))
    turns = sorted(turn_seconds(tracker, schema, held_out, weights))
    figures = {
        "settings": {"repeats": options.repeats, "threads": options.threads},
        "checkpoint": tracker.digest,
        "support dialogues": len(support),
        "inner steps": how.all_steps,
        "adapt seconds": [round(s, 3) for s in adapting],
        "bare seconds": [round(s, 3) for s in bare],
        "ratio of medians": round(statistics.median(adapting) / statistics.median(bare), 3),
        "turns": len(turns),
        "turn p50 ms": round(1000 * statistics.median(turns), 1),
        "turn p95 ms": round(1000 * turns[int(0.95 * (len(turns) - 1))], 1),
    }
    print(json.dumps(figures, indent=1))
    if options.json:
        write_figures(options.json, figures)


if __name__ == "__main__":
    main()
