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
import math
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from tqdm import tqdm

from learned_spaces import PLAIN, cards, load_metrics
from measuring import as_command
from rasa_onramp.cli.figures_file import plain, write_figures
from rasa_onramp.dialogue import Corpus
from rasa_onramp.embedding import Embed
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.evaluation.reply_few_shot import measure_replies
from rasa_onramp.evaluation.reply_metrics import ScoredReply, aggregate_replies, compare_replies
from rasa_onramp.formats import read
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.sentences import cached_sentences
from result_tables.replies import RETRIEVAL
from result_tables.table import printed

ROOT = Path(__file__).resolve().parent.parent
SHOTS = 5

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
    metrics = load_metrics(options.metric, "replies")
    trained = [name for metric in metrics.values() for name in metric.training_services]
    embed = cached_sentences()
    spaces: Dict[str, Embed] = {PLAIN: embed}
    spaces.update({name: metric.after(embed) for name, metric in metrics.items()})
    protocol = Protocol((SHOTS,), options.seeds, ("retrieval",), limit=options.limit)
    rows: List[Dict[str, Any]] = []
    for source, corpora in corpora_of(options.sgd).items():
        replies: Dict[str, Replies] = {name: {} for name in spaces}
        for corpus in tqdm(corpora, desc=source, unit="file"):
            known = trained if source != "SGD" else [*trained, *load_tracker().training_services]
            for split in splits(corpus, [s for s in corpus.schemas if s not in known], protocol):
                for name, space in spaces.items():
                    (found,) = measure_replies(
                        None, split, SHOTS, ("retrieval",), space, ReplyFineTuning()
                    )
                    for dialogue, scored in found.replies.items():
                        replies[name][(found.service, found.seed, dialogue)] = scored
        for name in spaces if replies[PLAIN] else ():  # none where all was trained on
            rows.append(row(source, name, replies[name], None if name == PLAIN else replies[PLAIN]))
    settings = {
        "seeds": options.seeds,
        "shots": SHOTS,
        "limit": options.limit,
        "metrics": cards(metrics),
    }
    results = {"settings": settings, "summary": plain(rows)}
    print(printed(RETRIEVAL, [results]))
    if options.json is not None:
        write_figures(str(options.json), results)


def corpora_of(sgd: Optional[Path]) -> Dict[str, List[Corpus]]:
    """What is measured on, by where it is from."""
    found = {
        folder: [read(path) for path in sorted((ROOT / folder).glob("*.yml"))]
        for folder in ("training_data/dev", "dialogue_data")
    }
    return found if sgd is None else {**found, "SGD": [read(sgd, "sgd")]}


def row(source: str, name: str, replies: Replies, base: Optional[Replies]) -> Dict[str, Any]:
    """Figures of a space and, unless it is the plain one, what they differ by."""
    figures = aggregate_replies(each for scored in replies.values() for each in scored).as_dict()
    found: Dict[str, Any] = {"source": source, "method": name, "replies": figures["replies"]}
    found.update({key: figures[key] for key in FIGURES})
    if base is not None:
        compared = compare_replies(replies, base, figures=FIGURES)
        found["minus plain"] = {
            key: [round(each, 6) for each in (one.value, one.low, one.high)]
            for key, one in compared.items()
            if not math.isnan(one.low)  # some sample of few replies has no such figure
        }
    return found


if __name__ == "__main__":
    as_command(main)
