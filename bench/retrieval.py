"""Replies retrieved in learned spaces, against embeddings as they are.

    python bench/retrieval.py --metric RUN/metric [--sgd ../shared/data/sgd/dev] [--json OUT]

Domains that no --metric was trained on: those of training_data/dev and dialogue_data, and the
services of --sgd that SGD's training part lacks. Five support dialogues of each, drawn anew by
every seed, four others held out; states and results are given. No language model: the reply is the
best support reply. Differences are paired, with 95% intervals by bootstrap over support sets and
dialogues.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from tqdm import tqdm

from rasa_onramp.dialogue import Corpus
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.evaluation.reply_few_shot import measure_replies
from rasa_onramp.evaluation.reply_metrics import ScoredReply, aggregate_replies, compare_replies
from rasa_onramp.formats import read
from rasa_onramp.metalearning.metric.checkpoint import load_metric
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning
from rasa_onramp.runtime.embedding import CachedEmbed, Embed, embedded_by
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.sentences import SentenceEncoder

ROOT = Path(__file__).resolve().parent.parent
SHOTS = 5

#: Retrieval as it is without a metric.
PLAIN = "embeddings as they are"

FIGURES = ("bleu", "bleu_delexicalised", "slot_error_rate")

#: The replies by (service, seed, dialogue).
Replies = Dict[Any, Sequence[ScoredReply]]


def main() -> None:
    """Retrieve, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metric", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--sgd", type=Path, default=None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    metrics = [load_metric(folder, "replies") for folder in options.metric]
    trained = [name for metric in metrics for name in metric.training_services]
    plain = CachedEmbed(SentenceEncoder.load().embed, limit=2**31)
    spaces: Dict[str, Embed] = {PLAIN: plain}
    spaces.update({metric.method: embedded_by(metric, plain) for metric in metrics})
    protocol = Protocol((SHOTS,), options.seeds, ("retrieval",), limit=options.limit)
    rows: List[Dict[str, Any]] = []
    for source, corpora in corpora_of(options.sgd).items():
        replies: Dict[str, Replies] = {name: {} for name in spaces}
        for corpus in tqdm(corpora, desc=source, unit="file"):
            known = trained if source != "SGD" else [*trained, *load_tracker().training_services]
            for split in splits(corpus, [s for s in corpus.schemas if s not in known], protocol):
                for name, embed in spaces.items():
                    (found,) = measure_replies(
                        None, split, SHOTS, ("retrieval",), embed, ReplyFineTuning()
                    )
                    for dialogue, scored in found.replies.items():
                        replies[name][(found.service, found.seed, dialogue)] = scored
        for name in spaces:
            rows.append(row(source, name, replies[name], None if name == PLAIN else replies[PLAIN]))
    print(table(rows))
    if options.json is not None:
        settings = {
            "seeds": options.seeds,
            "shots": SHOTS,
            "limit": options.limit,
            "metrics": {m.method: {"digest": m.digest, **m.card} for m in metrics},
        }
        found = {"settings": settings, "summary": rows}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def corpora_of(sgd: Optional[Path]) -> Dict[str, List[Corpus]]:
    """What is measured on, by where it is from."""
    found = {
        folder: [read(path) for path in sorted((ROOT / folder).glob("*.yml"))]
        for folder in ("training_data/dev", "dialogue_data")
    }
    return found if sgd is None else {**found, "SGD": [read(sgd, "sgd")]}


def row(source: str, name: str, replies: Replies, plain: Optional[Replies]) -> Dict[str, Any]:
    """Figures of a space and, unless it is the plain one, what they differ by."""
    figures = aggregate_replies(each for scored in replies.values() for each in scored).as_dict()
    found: Dict[str, Any] = {"source": source, "method": name, "replies": figures["replies"]}
    found.update({key: figures[key] for key in FIGURES})
    if plain is not None:
        compared = compare_replies(replies, plain, figures=FIGURES)
        found["minus plain"] = {k: [d.value, d.low, d.high] for k, d in compared.items()}
    return found


def table(rows: Sequence[Dict[str, Any]]) -> str:
    """The summary as Markdown."""
    lines = ["| data | space | " + " | ".join(FIGURES) + " |", "|---" * (2 + len(FIGURES)) + "|"]
    for each in rows:
        cells = []
        for key in FIGURES:
            cell = f"{each[key]:.3f}"
            if "minus plain" in each:
                cell += " ({:+.3f} [{:+.3f}, {:+.3f}])".format(*each["minus plain"][key])
            cells.append(cell)
        lines.append(f"| {each['source']} | {each['method']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
