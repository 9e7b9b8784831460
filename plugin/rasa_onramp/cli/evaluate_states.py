"""rasa-onramp evaluate, of states"""

from __future__ import annotations

from contextlib import closing
from typing import Any, Dict, Optional, Sequence

import click

from rasa_onramp.cli.figures_file import plain, write_figures
from rasa_onramp.cli.measurements import digest_of, services_and_splits, settings_of
from rasa_onramp.cli.options import progress_bar
from rasa_onramp.cli.predictions import write_predictions
from rasa_onramp.dialogue import Corpus
from rasa_onramp.evaluation.few_shot import Result, evaluate, summarise
from rasa_onramp.evaluation.intervals import comparisons, estimates
from rasa_onramp.evaluation.journal import Journal
from rasa_onramp.evaluation.plots import few_shot_curve
from rasa_onramp.evaluation.processes import evaluate_in_processes
from rasa_onramp.evaluation.protocol import Protocol
from rasa_onramp.evaluation.result_json import result_from_json, result_to_json
from rasa_onramp.evaluation.tables import comparison_table, figures_table
from rasa_onramp.metalearning.adaptation import Adaptation
from rasa_onramp.metalearning.precision import computing
from rasa_onramp.tracker.model import StateTracker

__all__ = ["evaluate_states"]


def evaluate_states(
    tracker: StateTracker,
    corpus: Corpus,
    services: str,
    protocol: Protocol,
    *,
    checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
    jobs: int,
    progress: Optional[bool],
    json_path: Optional[str],
    resume: bool,
    plot_path: Optional[str],
    predictions: Optional[str],
    data: Sequence[str],
) -> None:
    """Measure and print; write figures, curve and predictions if asked to.

    With `json_path` each split's results are kept in a journal beside it, for `resume`.
    """
    known = tracker.training_services
    chosen, work = services_and_splits(corpus, services, protocol, known)
    settings: Dict[str, Any] = {
        **settings_of(data, chosen, protocol),
        "offers": protocol.offers,
        "adaptation": Adaptation.of(
            tracker, offers=protocol.offers, **protocol.changes
        ).as_settings,
        "finetune": protocol.finetuning.as_settings,
        "steps": protocol.steps,
        "threads": threads,
        **computing(device),
        "checkpoint": tracker.digest,
    }
    journal: Journal[Result] = Journal(
        None if json_path is None else f"{json_path}.journal",
        settings,
        data=digest_of(work),
        resume=resume,
        encode=result_to_json,
        decode=result_from_json,
    )
    results = list(journal.rows)
    done = {(result.service, result.seed) for result in results}
    if jobs == 1:
        measuring = evaluate(tracker, corpus, chosen, protocol, done=done)
    else:
        measuring = evaluate_in_processes(
            corpus,
            chosen,
            protocol,
            jobs=jobs,
            checkpoint=checkpoint,
            device=device,
            threads=threads,
            done=done,
        )
    a_split = len(protocol.shots) * len(protocol.methods)
    bar = progress_bar(
        progress,
        total=len(work) * a_split,
        initial=len(results),
        desc="evaluate",
        unit="run",
    )
    with bar, closing(measuring):
        for result in measuring:
            bar.set_postfix_str(f"{result.service} {result.method} {result.shots}-shot")
            bar.update()
            results.append(result)
            if len(results) % a_split == 0:
                journal.add(results[-a_split:])  # the split is complete
    rows, summary = [r.row() for r in results], summarise(results)
    ids = [one.ids for one in work]
    own = protocol.own_split
    intervals = estimates(rows, ids, own_split=own)
    differences = comparisons(rows, ids, own_split=own)
    told = figures_table(rows, summary, intervals, offers=protocol.offers, own_split=own)
    click.echo(told)
    if differences:
        click.echo("\n" + comparison_table(differences))
    if json_path is not None:
        figures = {
            "settings": settings,
            "summary": plain(summary),
            "intervals": plain(intervals),
            "differences": plain(differences),
            "splits": ids,
            "runs": plain(rows),
        }
        write_figures(json_path, figures)
    if plot_path is not None:
        few_shot_curve(intervals, plot_path, title=", ".join(chosen) if len(chosen) < 5 else "")
    if predictions is not None:
        write_predictions(data[0], predictions, results)
    journal.close()
