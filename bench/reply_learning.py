"""Rates and epochs of the replies' plain fine-tuning, beside adapting: what it is tuned by.

    python bench/reply_finetuning.py --json bench/results/reply_finetuning.json

Domains of training_data/dev, which nothing was trained on and no other figure of replies is
reported on; every second one, as each setting learns anew. States and results are given. All
settings learn from the same support dialogues and are judged by the same held-out replies.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from tqdm import tqdm

from measuring import as_command, label
from rasa_onramp.cli.figures_file import plain, write_figures
from rasa_onramp.evaluation.journal import Journal
from rasa_onramp.evaluation.processes import in_processes
from rasa_onramp.evaluation.protocol import Protocol, Split, splits
from rasa_onramp.evaluation.reply_few_shot import ReplyResult, measure_replies
from rasa_onramp.evaluation.reply_tables import difference, row, summarise_replies
from rasa_onramp.evaluation.result_json import reply_result_from_json, reply_result_to_json
from rasa_onramp.formats import read
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.metalearning.precision import learning_attention
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning
from rasa_onramp.tracker.sentences import cached_sentences
from result_tables.replies import FINETUNING
from result_tables.table import printed

__all__ = ["SETTINGS", "main", "setting_name"]

DEV = Path(__file__).resolve().parent.parent / "training_data" / "dev"
SHOTS = 5

#: Each beside how many epochs it goes over the support.
SETTINGS: Tuple[ReplyFineTuning, ...] = tuple(
    ReplyFineTuning(rate=rate, epochs=epochs)
    for rate, epochs in (
        *((2e-4, 2), (5e-4, 2), (1e-3, 2), (2e-3, 2)),
        *((2e-4, 5), (5e-4, 5), (1e-3, 5)),
    )
)

#: None is adapting, as the checkpoint recommends.
Piece = Tuple[Split, Optional[ReplyFineTuning]]


def setting_name(how: ReplyFineTuning) -> str:
    """What a setting's results are called."""
    return f"finetune {how.rate:g} {how.epochs}"


def measured(model: ReplyModel, piece: Piece) -> ReplyResult:
    """One setting on one split."""
    split, how = piece
    method, finetuning = ("adapted", ReplyFineTuning()) if how is None else ("finetune", how)
    (found,) = measure_replies(model, split, SHOTS, (method,), cached_sentences(), finetuning)
    return found if how is None else replace(found, method=setting_name(how))


def summary(results: Sequence[ReplyResult]) -> List[Dict[str, Any]]:
    """Figures of adapting, then of each setting, with what adapting has over it."""
    rows = [summarise_replies(results, "adapted", SHOTS)]
    for how in SETTINGS:
        name = setting_name(how)
        minus = difference(results, name, SHOTS)
        rows.append(
            {
                **summarise_replies(results, name, SHOTS),
                "rate": how.rate,
                "epochs": how.epochs,
                "adapted_minus_bleu": minus["bleu"],
                "adapted_minus_slot_error_rate": minus["slot_error_rate"],
            }
        )
    return plain(rows)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure what isn't yet, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=3, help="held-out dialogues a domain")
    parser.add_argument("--checkpoint", help="folder of meta-train-replies; default: what ships")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args(arguments)
    protocol = Protocol((SHOTS,), 1, ("finetune", "adapted"), limit=options.limit)
    corpora = [read(path) for path in sorted(DEV.glob("*.yml"))[::2]]
    work = [split for corpus in corpora for split in splits(corpus, list(corpus.schemas), protocol)]
    model = load_replies(options.checkpoint)
    settings = {
        "data": label(DEV),
        "services": [split.schema.name for split in work],
        "shots": SHOTS,
        "limit": options.limit,
        "adaptation": model.card["adaptation"],
        "tried": [asdict(how) for how in SETTINGS],
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
    done = {(result.service, result.method) for result in journal.rows}
    pieces: List[Piece] = [
        (split, how)
        for how in (None, *SETTINGS)
        for split in work
        if (split.schema.name, "adapted" if how is None else setting_name(how)) not in done
    ]
    found = in_processes(
        measured,
        pieces,
        jobs=options.jobs,
        load=partial(load_replies, options.checkpoint, attention=learning_attention("cpu")),
        threads=1,
    )
    with tqdm(total=len(pieces), desc="fine-tune", disable=None) as bar, closing(found):
        for result in found:
            journal.add([result])
            bar.set_postfix_str(f"{result.service} {result.method}")
            bar.update()
    runs = plain([row(result) for result in journal.rows])
    results = {"settings": settings, "summary": summary(journal.rows), "runs": runs}
    write_figures(str(options.json), results)
    journal.close()
    print(printed(FINETUNING, [results]))


if __name__ == "__main__":
    as_command(main)
