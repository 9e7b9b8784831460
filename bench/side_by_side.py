"""Trackers that were trained apart, measured on the same support sets and held-out dialogues."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch

from measuring import finish, journal_beside, label, measure_pieces, refuse_others
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.figures_file import plain
from rasa_onramp.evaluation.few_shot import measure
from rasa_onramp.evaluation.journal import Row
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.metalearning.precision import computing
from rasa_onramp.metalearning.training import MetaConfig, TrackerMetaLearner
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from result_tables.table import Table
from trainings import Training, train_all, training_options

__all__ = [
    "ADAPTED",
    "ALL_METHODS",
    "RANK",
    "compare",
    "comparison_options",
    "load_all",
    "rows_of",
    "with_rates",
]

#: Of the low-rank updates of all that are compared, but for ranks themselves: what ships has it.
RANK = 8

#: By default, and those of a tracker that has nothing but its own rates to adapt with.
ALL_METHODS = ("zero-shot", "finetune", "adapted")
ADAPTED = ("zero-shot", "adapted")


def comparison_options(parser: argparse.ArgumentParser) -> None:
    """What is trained on, what is measured on, and how."""
    training_options(parser)
    add = parser.add_argument
    add("--start", type=Path, required=True, help="what `meta-train --stage multitask` wrote")
    add("--meta-steps", type=int, default=32, help="outer steps of each meta-training")
    add("--shots", default="1,5", help="support dialogues")
    add("--inner-rates", type=float, default=1.0, help="where they begin, times the usual ones")


def with_rates(tracker: StateTracker, times: float = 1.0) -> StateTracker:
    """One that wasn't meta-trained with low-rank updates and the inner rates that meta-training
    begins with, `times` these, so that it can adapt.
    """
    if not tracker.rates:
        rates = {name: times * getattr(MetaConfig, name) for name in ("lora_rate", "heads_rate")}
        begins = MetaConfig(algorithm="fomaml", rank=RANK, **rates)
        TrackerMetaLearner(tracker, begins).finish()
        tracker.card["adaptation"] = begins.adaptation
    return tracker


def load_all(folders: Mapping[str, str], inner_rates: float = 1.0) -> Dict[str, StateTracker]:
    """The trackers of all names, `with_rates`."""
    return {name: with_rates(load_tracker(at), inner_rates) for name, at in folders.items()}


def rows_of(
    trackers: Mapping[str, StateTracker],
    piece: Tuple[str, Split],
    protocol: Protocol,
    meta_trained: Sequence[str],
) -> List[Row]:
    """Measure one tracker on one split; those that were `meta_trained` aren't fine-tuned."""
    name, split = piece
    how = replace(protocol, methods=ADAPTED if name in meta_trained else ALL_METHODS)
    tracker = trackers[name]
    about = {"tracker": name, "checkpoint": tracker.digest}
    return plain([{**about, **result.row()} for result in measure(tracker, split, how)])


def compare(
    options: argparse.Namespace,
    own_settings: Mapping[str, Any],
    wanted: Sequence[Training],
    table: Table,
    *,
    untrained: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Train what isn't yet, measure it and `untrained`, write and print.

    Results name each tracker's digest, parameters and size of an adapter in a store, and what its
    training took: seconds (none where it was stopped in between) and steps.
    """
    torch.set_num_threads(options.threads)
    corpus = read_all([str(options.data)], None)
    start = load_tracker(str(options.start))
    shots = tuple(int(each) for each in options.shots.split(","))
    protocol = Protocol(shots=shots, seeds=options.seeds, limit=options.limit)
    services = choose_services(corpus, options.services, start.training_services)
    named = ("meta_steps", "inner_rates", "seed", "seeds", "limit", "threads")
    settings: Dict[str, Any] = {
        "start": start.digest,
        "data": label(options.data),
        "services": services,
        "episodes_a_step": MetaConfig.episodes_a_step,
        "inner_steps": MetaConfig.inner_steps,
        **{name: getattr(options, name) for name in named},
        "shots": list(shots),
        **computing("cpu"),
        "finetune": protocol.finetuning.as_settings,
        **own_settings,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    journal, earlier = journal_beside(options.json, settings)
    seconds = train_all(wanted, jobs=options.jobs)
    folders = {name: str(folder) for name, folder in untrained.items()}
    folders.update({training.name: str(training.made) for training in wanted})
    trackers = load_all(folders, options.inner_rates)
    digests = {name: tracker.digest for name, tracker in trackers.items()}
    refuse_others(journal, "tracker", digests, earlier.get("trackers", {}))
    done = {(row["tracker"], row["service"], row["seed"]) for row in journal.rows}
    drawn = list(splits(corpus, services, protocol))
    pieces = [
        (name, split) for split in drawn for name in folders if (name, *split.name) not in done
    ]
    adapted = [training.name for training in wanted if training.writes == "tracker"]
    measure_pieces(
        journal,
        partial(rows_of, protocol=protocol, meta_trained=adapted),
        pieces,
        jobs=options.jobs,
        load=partial(load_all, folders, options.inner_rates),
        threads=options.threads,
    )
    told: Dict[str, Mapping[str, Any]] = {
        "trackers": digests,
        "parameters": {
            name: sum(p.numel() for p in tracker.encoder.parameters())
            for name, tracker in trackers.items()
        },
        "adapter_bytes": {
            name: len(adapter_to_bytes(tracker.weights)) for name, tracker in trackers.items()
        },
        "seconds": seconds,
        "steps": {training.name: training.steps for training in wanted},
    }
    results = {
        "settings": settings,
        # beside what was told of those that were measured before
        **{key: {**earlier.get(key, {}), **new} for key, new in told.items()},
        "splits": [split.ids for split in drawn],
        "runs": journal.rows,
    }
    finish(journal, results, options.json, table)
