"""Makes plugin/rasa_onramp/checkpoints/router.safetensors: what people say to bots in general.

    python bench/router_background.py ../shared/data/sgd/train [--dialogues 18] [--spare 60]

Of SGD's training utterances only averages of their embeddings are kept: their mean, and the centres
of 256 clusters (spherical k-means). What words tell is counted in training_data/dialogues, by
domain, without those that metrics are measured on (`meta-train --spare`); of 600 of its users'
messages their hashed words are kept.
"""

from __future__ import annotations

import argparse
import math
import random
from pathlib import Path
from typing import Dict, List, Sequence

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from rasa_onramp.cli.meta_train_metric import learned_and_spared
from rasa_onramp.formats import read
from rasa_onramp.metalearning.corpus import Task
from rasa_onramp.runtime.background import SHIPPED
from rasa_onramp.runtime.domain_index import written
from rasa_onramp.runtime.words import FEATURES, Vocabulary, counted
from rasa_onramp.tracker.sentences import SentenceEncoder

DIALOGUES = Path(__file__).resolve().parent.parent / "training_data" / "dialogues"

#: Of so many messages the words are kept.
MESSAGES = 600


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


def own_domains(sgd: str, spare: int) -> List[Task]:
    """The domains of training_data/dialogues that a metric of these and `sgd` is trained on, so not
    measured on (`meta-train --spare`).
    """
    tasks, _ = learned_and_spared([str(DIALOGUES), sgd], spare, random.Random(0))
    ours = {path.stem for path in DIALOGUES.glob("*.yml")}
    return [task for task in tasks if task.schema.name in ours]


def counted_words(tasks: Sequence[Task], rng: random.Random) -> Dict[str, Tensor]:
    """Inverse document frequencies, a domain being a document, and some messages' words."""
    seen = torch.zeros(FEATURES)
    asked: List[str] = []
    for task in tqdm(tasks, desc="words", unit="domain", disable=None):
        said = [turn.text for dialogue in task.alone for turn in dialogue.turns]
        features, _ = counted(" ".join([*written(task.schema), *said]))
        seen[features] += 1
        asked += [t.text for d in task.alone for t in d.turns if t.is_user and t.state is not None]
    idf = (1 + math.log(1 + len(tasks)) - (1 + seen).log()).half()
    plain = Vocabulary(idf.float(), *(torch.zeros(0, dtype=torch.long),) * 3, 0)
    found = [plain.words([text]) for text in rng.sample(asked, MESSAGES)]
    lengths = torch.tensor([len(words.features) for words in found])
    return {
        "words.idf": idf,
        "words.features": torch.cat([words.features for words in found]).int(),
        "words.weights": torch.cat([words.weights for words in found]).half(),
        "words.of": torch.repeat_interleave(torch.arange(MESSAGES), lengths).int(),
    }


def main() -> None:
    """Read, embed, cluster, count, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dialogues", type=int, default=18, help="a service")
    parser.add_argument("--spare", type=int, default=60, help="as of meta-train; 0: none")
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
    kept = own_domains(str(options.folder), options.spare)
    words = counted_words(kept, random.Random(0))
    save_file({"mean": mean.half(), "centres": centres.half(), **words}, str(options.out))
    print(
        f"{len(texts)} utterances of {len(corpus.schemas)} services, words of {len(kept)} domains "
        f"→ {options.out}"
    )


if __name__ == "__main__":
    main()
