"""rasa-onramp evaluate --generator"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import Dict, List, Optional, Sequence, Tuple

import click

from rasa_onramp.cli.figures_file import plain, write_figures
from rasa_onramp.cli.options import progress_bar
from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.bleu import bleu_signature
from rasa_onramp.evaluation.intervals import MAIN
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.evaluation.reply_few_shot import ReplyResult, replies_in_processes
from rasa_onramp.evaluation.reply_tables import (
    difference,
    replies_table,
    row,
    summarise_replies,
)
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning

__all__ = ["evaluate_replies"]

Row = Dict[str, object]


def evaluate_replies(
    corpus: Corpus,
    services: str,
    protocol: Protocol,
    finetuning: ReplyFineTuning,
    *,
    checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
    jobs: int,
    progress: Optional[bool],
    json_path: Optional[str],
    replies_path: Optional[str],
    data: Sequence[str],
) -> None:
    """Measure and print, by method and support size; write figures and replies if asked to."""
    signature = bleu_signature()  # before any work: sacrebleu may not be there
    model = load_replies(checkpoint, device=device)
    chosen = choose_services(corpus, services, model.training_services)
    results: List[ReplyResult] = []
    found: List[Tuple[Split, List[ReplyResult]]] = []
    work = list(splits(corpus, chosen, protocol))
    measuring = replies_in_processes(
        work,
        protocol,
        finetuning,
        jobs=jobs,
        checkpoint=checkpoint,
        device=device,
        threads=threads,
    )
    total = len(work) * len(protocol.shots)
    bar = progress_bar(progress, total=total, desc="evaluate", unit="support set")
    with bar, closing(measuring):
        for split, together in measuring:
            bar.update()
            results += together
            found.append((split, together))
    if not results:
        raise ConfigError(
            f"no service has {max(protocol.shots)} support dialogues and others held out; lower "
            "--shots or use --dialogues all"
        )
    columns = [(method, shots) for shots in protocol.shots for method in protocol.methods]
    summary = plain([summarise_replies(results, *column) for column in columns])
    others = [column for column in columns if column[0] != MAIN and MAIN in protocol.methods]
    differences = plain([difference(results, *column) for column in others])
    click.echo(replies_table(summary, differences))
    if replies_path is not None:
        with open(replies_path, "w", encoding="utf-8") as file:
            for split, together in found:
                for line in _lines(split, together):
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    if json_path is not None:
        settings: Row = {
            "data": list(data),
            "services": chosen,
            "shots": list(protocol.shots),
            "seeds": protocol.seeds,
            "dialogues": protocol.dialogues,
            "own_split": protocol.own_split,
            "limit": protocol.limit,
            "finetune": asdict(finetuning),
            "checkpoint": model.digest,
            "language_model": model.name,
            "bleu": signature,
        }
        runs = plain([row(result) for result in results])
        figures = {
            "settings": settings,
            "summary": summary,
            "differences": differences,
            "runs": runs,
        }
        write_figures(json_path, figures)


def _lines(split: Split, together: Sequence[ReplyResult]) -> List[Row]:
    """One line a turn: the conversation, the reference and every method's reply."""
    lines: List[Row] = []
    for dialogue in split.held_out:
        asked = [
            number
            for number in range(1, len(dialogue.turns))
            if not dialogue.turns[number].is_user and dialogue.turns[number - 1].is_user
        ]
        for place, number in enumerate(asked):
            lines.append(
                {
                    "service": split.schema.name,
                    "shots": together[0].shots,
                    "seed": split.seed,
                    "dialogue": dialogue.id,
                    "turn": number,
                    "history": [[turn.speaker, turn.text] for turn in dialogue.turns[:number]],
                    "reference": dialogue.turns[number].text,
                    "replies": {r.method: r.replies[dialogue.id][place].text for r in together},
                }
            )
    return lines
