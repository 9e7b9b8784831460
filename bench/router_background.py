"""Makes plugin/rasa_onramp/checkpoints/router.safetensors from SGD's training utterances.

    python bench/router_background.py ../shared/data/sgd/train [--dialogues 18]

Only averages of many utterances' embeddings are kept: their mean, and the centres of 256 clusters
(spherical k-means).
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.formats import read
from rasa_onramp.runtime.background import SHIPPED
from rasa_onramp.tracker.sentences import SentenceEncoder


def clusters(rows: Tensor, count: int, generator: torch.Generator, rounds: int = 50) -> Tensor:
    """Centres (count, dimensions) of spherical k-means over normalised rows."""
    centres = rows[torch.randperm(len(rows), generator=generator)[:count]]
    for _ in range(rounds):
        nearest = (rows @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        empty = sums.norm(dim=1) == 0
        sums[empty] = centres[empty]
        centres = F.normalize(sums, dim=-1)
    return centres


def main() -> None:
    """Read, embed, cluster, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dialogues", type=int, default=18, help="a service")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    corpus = read(options.folder, "sgd")
    texts = set()
    rng = random.Random(0)
    for service in sorted(corpus.schemas):
        found = [d for d in corpus.dialogues if d.domain == service]
        for dialogue in rng.sample(found, min(options.dialogues, len(found))):
            texts.update(t.text for t in dialogue.turns if t.is_user and t.state is not None)
    rows = SentenceEncoder.load().embed(sorted(texts))
    mean = rows.mean(0)
    centred = F.normalize(rows - mean, dim=-1)
    centres = clusters(centred, 256, torch.Generator().manual_seed(0))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({"mean": mean.half(), "centres": centres.half()}, str(options.out))
    print(f"{len(texts)} utterances of {len(corpus.schemas)} services → {options.out}")


if __name__ == "__main__":
    main()
