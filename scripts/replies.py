"""An initialisation of replies from others: what was done by hand after meta-training.

    python scripts/replies.py TO FROM [FROM…] [--steps N] [--scale X]

Takes the mean of runs of different seeds from one start (model soup; Wortsman et al. 2022,
https://arxiv.org/abs/2203.05482), rates as logarithms, as they are learned; and recommends N inner
steps, over which the learned rates, times X, are stretched.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional, Sequence

import torch

from rasa_onramp.generator.checkpoint import load_replies, save_replies
from rasa_onramp.generator.model import ReplyModel


def main() -> None:
    """Read, compute, write, and print the digest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    models = [load_replies(source) for source in options.sources]
    print(save_replies(averaged(models, options.steps, options.scale), options.target))


@torch.no_grad()
def averaged(
    models: Sequence[ReplyModel], steps: Optional[int] = None, scale: float = 1.0
) -> ReplyModel:
    """The first model with everybody's mean weights and rates; in place."""
    first = models[0]
    first.weights = {k: torch.stack([m.weights[k] for m in models]).mean(0) for k in first.weights}
    first.rates = {
        k: torch.stack([m.rates[k].log() for m in models]).mean(0).exp() * scale
        for k in first.rates
    }
    if steps is not None:
        first.card["adaptation"] = {**first.card["adaptation"], "steps": steps}
    return first


if __name__ == "__main__":
    main()
