"""How replies learn from five dialogues: rates of adapting, rates and epochs of plain fine-tuning.

    python bench/reply_learning.py --data training_data/dev --every 2 \\
        --json bench/results/reply_learning_dev.json

Settings are chosen by domains that the replies weren't trained on: those of training_data/dev,
whose bots seldom say a thing twice in the same words, and some that training_data/generate.py made,
whose bots keep to a few wordings. That adapting goes by how much a bot repeats itself was found by
looking at dialogue_data (--own-split) and SGD as well, which figures are reported on. States and
results are given. All settings learn from the same support dialogues and are judged by the same
held-out replies; differences are to what the checkpoint recommends.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from measuring import as_command, finish, label, measure_pieces
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.figures_file import plain
from rasa_onramp.evaluation.intervals import MAIN
from rasa_onramp.evaluation.journal import Journal
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.evaluation.reply_few_shot import ReplyResult, measure_replies
from rasa_onramp.evaluation.reply_tables import difference, row, summarise_replies
from rasa_onramp.evaluation.result_json import reply_result_from_json, reply_result_to_json
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.metalearning.precision import learning_attention
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning
from rasa_onramp.tracker.sentences import cached_sentences
from result_tables.replies import LEARNING

__all__ = ["RECOMMENDED", "SETTINGS", "Setting", "main"]

SHOTS = 5
#: Figures that settings are compared by.
COMPARED = ("bleu", "slot_error_rate")


@dataclass(frozen=True)
class Setting:
    """Adapting with the learned rates times `rate` (None: as is recommended), in `steps` (None: as
    many as are recommended); with `epochs`, plain fine-tuning at `rate`.
    """

    rate: Optional[float] = None
    epochs: Optional[int] = None
    steps: Optional[int] = None

    @property
    def name(self) -> str:
        """What its results are called."""
        if self.rate is None:
            return "adapted, as recommended"
        if self.epochs is None:
            steps = "" if self.steps is None else f", {self.steps} steps"
            return f"adapted, rates x {self.rate:g}{steps}"
        return f"AdamW at {self.rate:g}, {self.epochs} epochs"


RECOMMENDED = Setting()
SETTINGS: Tuple[Setting, ...] = (
    RECOMMENDED,
    *map(Setting, (1.0, 2.0, 3.0, 6.0)),
    # as many as those of five epochs of five dialogues
    *(Setting(rate, steps=25) for rate in (1.0, 2.0, 3.0)),
    *(Setting(rate, 2) for rate in (2e-4, 5e-4, 1e-3, 2e-3)),
    *(Setting(rate, 5) for rate in (2e-4, 5e-4)),
)

Piece = Tuple[Split, Setting]


def measured(model: ReplyModel, piece: Piece) -> List[ReplyResult]:
    """One setting on one split."""
    split, setting = piece
    recommended, finetuning = model.card["adaptation"], ReplyFineTuning()
    method = "adapted" if setting.epochs is None else "finetune"
    if setting.rate is not None and setting.epochs is not None:
        finetuning = ReplyFineTuning(rate=setting.rate, epochs=setting.epochs)
    elif setting.rate is not None:
        scales = {"rate_scale": setting.rate, "repeating_rate_scale": 1.0}
        steps = {} if setting.steps is None else {"steps": setting.steps}
        model.card["adaptation"] = {**recommended, **scales, **steps}
    try:
        (found,) = measure_replies(model, split, SHOTS, (method,), cached_sentences(), finetuning)
    finally:
        model.card["adaptation"] = recommended
    return [replace(found, method=setting.name)]


def summary(results: Sequence[ReplyResult], *, own_split: bool) -> List[Dict[str, Any]]:
    """Figures of each setting and, but for the recommended one, what that has over it."""
    # what differences are taken to has that name
    best = [replace(r, method=MAIN) for r in results if r.method == RECOMMENDED.name]
    rows = []
    for setting in SETTINGS:
        if all(result.method != setting.name for result in results):
            continue
        found = summarise_replies(results, setting.name, SHOTS)
        if best and setting != RECOMMENDED:
            minus = difference([*results, *best], setting.name, SHOTS, own_split=own_split)
            found["recommended_minus"] = {name: minus[name] for name in COMPARED}
        rows.append(found)
    return plain(rows)


def options_of(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--services", default="all", help="all, or names with commas")
    parser.add_argument("--every", type=int, default=1, help="only every so manyth service")
    parser.add_argument("--own-split", action="store_true", help="the data's own support")
    parser.add_argument("--seeds", type=int, default=1, help="support sets a domain")
    parser.add_argument("--limit", type=int, default=3, help="held-out dialogues a domain")
    parser.add_argument("--checkpoint", help="folder of meta-train-replies; default: what ships")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, required=True)
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure what an interrupted run hasn't yet, write and print."""
    options = options_of(arguments)
    corpus, model = read_all([str(options.data)], None), load_replies(options.checkpoint)
    services = choose_services(corpus, options.services, model.training_services)[:: options.every]
    protocol = Protocol(
        (SHOTS,),
        options.seeds,
        ("finetune", "adapted"),
        limit=options.limit,
        own_split=options.own_split,
    )
    work = list(splits(corpus, services, protocol))
    settings = {
        "data": label(options.data),
        "services": services,
        "seeds": options.seeds,
        "shots": SHOTS,
        "limit": options.limit,
        "adaptation": model.card["adaptation"],
        "checkpoint": model.digest,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    journal: Journal[ReplyResult] = Journal(
        f"{options.json}.journal",
        settings,
        resume=True,
        encode=reply_result_to_json,
        decode=reply_result_from_json,
    )
    done = {(result.service, result.seed, result.method) for result in journal.rows}
    pieces: List[Piece] = [
        (split, setting)
        for setting in SETTINGS
        for split in work
        if (*split.name, setting.name) not in done
    ]
    measure_pieces(
        journal,
        measured,
        pieces,
        jobs=options.jobs,
        load=partial(load_replies, options.checkpoint, attention=learning_attention("cpu")),
        threads=1,
    )
    results = {
        "settings": settings,
        "summary": summary(journal.rows, own_split=options.own_split),
        "runs": plain([row(result) for result in journal.rows]),
    }
    finish(journal, results, options.json, LEARNING)


if __name__ == "__main__":
    as_command(main)
