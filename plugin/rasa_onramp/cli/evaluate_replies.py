"""rasa-onramp evaluate --generator"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import click

from rasa_onramp.cli.figures_file import plain, write_figures
from rasa_onramp.cli.measurements import digest_of, services_and_splits, settings_of
from rasa_onramp.cli.options import progress_bar
from rasa_onramp.dialogue import Corpus, Dialogue
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.bleu import bleu_signature
from rasa_onramp.evaluation.intervals import MAIN
from rasa_onramp.evaluation.journal import Journal
from rasa_onramp.evaluation.protocol import Protocol, Split
from rasa_onramp.evaluation.reply_few_shot import ReplyResult, replies_in_processes
from rasa_onramp.evaluation.reply_tables import (
    difference,
    replies_table,
    row,
    summarise_replies,
)
from rasa_onramp.evaluation.result_json import reply_result_from_json, reply_result_to_json
from rasa_onramp.generator.checkpoint import reply_card
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning
from rasa_onramp.weights import resolve_language_model
from rasa_onramp.whole_files import whole

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
    resume: bool,
    replies_path: Optional[str],
    data: Sequence[str],
) -> None:
    """Measure and print, by method and support size; write figures and replies if asked to.

    With `json_path` each split's results are kept in a journal beside it, for `resume`.
    """
    signature = bleu_signature()  # before any work: sacrebleu may not be there
    start = reply_card(checkpoint)  # other processes load and measure it
    resolve_language_model(start.language_model)  # which may not be there, either
    chosen, work = services_and_splits(corpus, services, protocol, start.training_services)
    if not any(_asked(dialogue) for split in work for dialogue in split.held_out):
        raise ConfigError("no held-out dialogue has a reply of the bot's to be judged by")
    settings: Row = {
        **settings_of(data, chosen, protocol),
        "adaptation": start.card.get("adaptation"),
        "finetune": asdict(finetuning),
        "threads": threads,
        "device": device,
        "checkpoint": start.digest,
        "language_model": start.language_model,
        "bleu": signature,
    }
    journal: Journal[ReplyResult] = Journal(
        None if json_path is None else f"{json_path}.journal",
        settings,
        data=digest_of(work),
        resume=resume,
        encode=reply_result_to_json,
        decode=reply_result_from_json,
    )
    done = {(result.service, result.seed) for result in journal.rows}
    measuring = replies_in_processes(
        [one for one in work if one.name not in done],
        protocol,
        finetuning,
        jobs=jobs,
        checkpoint=checkpoint,
        device=device,
        threads=threads,
    )
    bar = progress_bar(
        progress,
        total=len(work) * len(protocol.shots),
        initial=len(done) * len(protocol.shots),
        desc="evaluate",
        unit="support set",
    )
    with bar, closing(measuring):
        measured: List[ReplyResult] = []
        for _, together in measuring:
            bar.update()
            measured += together
            if len(measured) == len(protocol.shots) * len(protocol.methods):
                journal.add(measured)  # the split is complete
                measured = []
    results = journal.rows
    columns = [(method, shots) for shots in protocol.shots for method in protocol.methods]
    summary = plain([summarise_replies(results, *column) for column in columns])
    others = [column for column in columns if column[0] != MAIN and MAIN in protocol.methods]
    differences = plain(
        [difference(results, *column, own_split=protocol.own_split) for column in others]
    )
    click.echo(replies_table(summary, differences))
    if replies_path is not None:
        with whole(Path(replies_path)) as made, made.open("w", encoding="utf-8") as file:
            for split in work:
                own = [result for result in results if (result.service, result.seed) == split.name]
                for shots in protocol.shots:
                    for line in _lines(split, [each for each in own if each.shots == shots]):
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    if json_path is not None:
        figures = {
            "settings": settings,
            "summary": summary,
            "differences": differences,
            "runs": plain([row(result) for result in results]),
        }
        write_figures(json_path, figures)
    journal.close()


def _lines(split: Split, together: Sequence[ReplyResult]) -> List[Row]:
    """One line a turn: the conversation, the reference and every method's reply."""
    lines: List[Row] = []
    for dialogue in split.held_out:
        for place, number in enumerate(_asked(dialogue)):
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


def _asked(dialogue: Dialogue) -> List[int]:
    """Which turns are replies to a user's."""
    return [
        number
        for number in range(1, len(dialogue.turns))
        if not dialogue.turns[number].is_user and dialogue.turns[number - 1].is_user
    ]
