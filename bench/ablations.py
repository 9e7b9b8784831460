"""Ablations: what each choice of adapting and tracking at deployment brings; none takes training.

    python bench/ablations.py --data training_data/dev --services diving_centre,surf_school \\
        --json bench/results/ablations_dev.json
    python bench/figures.py --write        # puts the tables into docs/ablations.md

A setting differs from the default, the tracker as `rasa-onramp adapt` adapts it and a bot runs it,
in one thing (those of fine-tuning from fine-tuning's own values); it is measured on the same
support sets and the same held-out dialogues. The difference of joint goal accuracy is that of the
turns of all of them, with its 95% interval by bootstrap over each service's support sets and
dialogues.

Settings are chosen by training_data/dev, or SGD dev; never by dialogue_data, which the tracker is
judged by. What is measured is kept at once; the same command goes on where it was stopped, and more
--services, --seeds or --only add to what is there.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from tqdm import tqdm

from ablation_settings import ABLATIONS, Setting, named
from ablation_summary import summary
from measuring import as_command, finish, journal_beside, label, tell_if_done
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.few_shot import measure
from rasa_onramp.evaluation.journal import Row
from rasa_onramp.evaluation.metrics import score_dialogue
from rasa_onramp.evaluation.processes import in_processes
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.metalearning.adaptation import Adaptation
from rasa_onramp.metalearning.finetuning import FineTuning
from rasa_onramp.metalearning.precision import computing
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from result_tables.ablations import TABLE
from side_by_side import with_rates

__all__ = ["main", "measured", "row_of"]


def row_of(tracker: StateTracker, piece: Tuple[Setting, Split], protocol: Protocol) -> Row:
    """Measure a setting on a split: of each dialogue the sum of JGA and the turns that have one,
    and the same of average goal accuracy.
    """
    setting, split = piece[0], piece[0].split(piece[1])
    (result,) = measure(tracker, split, setting.protocol(protocol))
    dialogues: Dict[str, List[float]] = {}
    for dialogue in split.held_out:
        scores = score_dialogue(split.schema, dialogue, result.predictions[dialogue.id])
        sums = dialogues.setdefault(dialogue.id, [])
        for name in ("jga", "average_goal_accuracy"):
            defined = [value for value in (getattr(s, name) for s in scores) if value is not None]
            sums += [round(sum(defined), 4), len(defined)]
    return {
        "setting": setting.name,
        "service": result.service,
        "seed": result.seed,
        "seconds": round(result.seconds, 2),
        "dialogues": dialogues,
    }


def measured(
    tracker: StateTracker,
    pieces: Sequence[Tuple[Setting, Split]],
    protocol: Protocol,
    *,
    jobs: int = 1,
    checkpoint: Optional[str] = None,
) -> Iterator[Row]:
    """A row a piece, as soon as it is done."""
    work = partial(row_of, protocol=protocol)
    if jobs == 1:
        yield from (work(tracker, piece) for piece in pieces)
        return
    load = partial(_load, checkpoint)
    with closing(in_processes(work, pieces, jobs=jobs, load=load)) as found:
        yield from found


def _load(checkpoint: Optional[str]) -> StateTracker:
    """One that wasn't meta-trained adapts with the rates that meta-training would begin with."""
    return with_rates(load_tracker(checkpoint))


def options_of(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a corpus to choose settings by")
    parser.add_argument("--services", default="unseen", help="unseen, all, or names with commas")
    parser.add_argument("--only", help=f"of {', '.join(ABLATIONS)}; default: all")
    parser.add_argument("--shots", type=int, default=5, help="support dialogues")
    parser.add_argument("--seeds", type=int, default=1, help="support sets a service")
    parser.add_argument("--limit", type=int, help="held-out dialogues a service and seed, at most")
    parser.add_argument("--minutes", type=float, help="measure nothing new after so many")
    parser.add_argument("--checkpoint", help="a folder that meta-train wrote; default: what ships")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, required=True)
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None, tracker: Optional[StateTracker] = None) -> None:
    """Measure what isn't yet, write and print."""
    options = options_of(arguments)
    tracker = tracker or _load(options.checkpoint)
    chosen = named(options.only)
    if options.data.resolve().name == "dialogue_data":
        raise ConfigError("dialogue_data is what figures are reported on; give another --data")
    corpus = read_all([str(options.data)], None)
    services = choose_services(corpus, options.services, tracker.training_services)
    protocol = Protocol(shots=(options.shots,), seeds=options.seeds, limit=options.limit)
    settings = {
        "data": label(options.data),
        "shots": options.shots,
        "limit": options.limit,
        "default": asdict(Adaptation.of(tracker, offers=True)),
        **computing("cpu"),
        "finetune": FineTuning().as_settings,
        "checkpoint": tracker.digest,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    journal, _ = journal_beside(options.json, settings)
    done = {(row["setting"], row["service"], row["seed"]) for row in journal.rows}
    pieces = [
        (setting, split)
        for split in splits(corpus, services, protocol)
        for setting in chosen
        if (setting.name, split.schema.name, split.seed) not in done
    ]
    tell_if_done(pieces)
    found = measured(tracker, pieces, protocol, jobs=options.jobs, checkpoint=options.checkpoint)
    began = time.monotonic()
    with tqdm(total=len(pieces), desc="ablations", disable=None) as bar, closing(found):
        for row in found:
            journal.add([row])
            bar.set_postfix_str(f"{row['service']} {row['setting']}")
            bar.update()
            if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
                break
    lines = summary(journal.rows, named(None))
    results = {"settings": settings, "summary": lines, "runs": journal.rows}
    finish(journal, results, options.json, TABLE)


if __name__ == "__main__":
    as_command(main)
