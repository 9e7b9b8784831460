"""Joint meta-training: what replies gain that were learned in the states a tracker predicts.

    python bench/joint.py --train $SGD/train --paraphrases $SGD/sgd_x/data/v?/train \\
        --runs runs/joint --data $SGD/dev --json bench/results/joint_sgd_dev.json
    python bench/figures.py --write        # puts the table into docs/adaptation.md

`meta-train-jointly` goes on from one start with as many outer steps on the same episodes, once for
each share of episodes whose replies are learned in predicted states; at share 0 tracker and replies
are trained separately. Measured is what the objective is: the loss of held-out replies a token,
after adapting to a few dialogues of a service that nothing was trained on, in the states of the
labels and in those that the start's tracker predicts, adapted to the same dialogues.

A training that was stopped goes on where it was, and what is measured is kept at once in
OUT.journal; the same command goes on with both.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Dict, List, Mapping, Optional, Sequence

import torch

from measuring import (
    as_command,
    finish,
    journal_beside,
    label,
    measure_pieces,
    refuse_others,
)
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.figures_file import plain
from rasa_onramp.cli.training_corpora import corpus_embed
from rasa_onramp.embedding import Embed
from rasa_onramp.evaluation.journal import Row
from rasa_onramp.evaluation.metrics import aggregate, score_dialogue
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.model import ReplyModel, Weights
from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support
from rasa_onramp.metalearning.joint import JointConfig
from rasa_onramp.metalearning.precision import computing
from rasa_onramp.metalearning.predicted_states import reread, with_predictions
from rasa_onramp.metalearning.reply_episodes import support_and_queries
from rasa_onramp.metalearning.reply_training import adapt_replies
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker
from result_tables.joint import LABELLED, PREDICTED, START, TABLE
from trainings import Training, data_options, train_all, training_options

__all__ = ["Models", "main", "rows_of", "trainings"]


@dataclass(frozen=True)
class Models:
    """The tracker that predicts, and replies by name."""

    tracker: StateTracker
    replies: Mapping[str, ReplyModel]


def trainings(options: argparse.Namespace) -> List[Training]:
    """One for each share of episodes in predicted states."""
    data = ["--meta-steps", str(options.meta_steps), *data_options(options)]
    for name, folder in (("--start", options.start), ("--start-replies", options.start_replies)):
        data += [] if folder is None else [name, folder]
    return [
        Training(
            f"{share:g}",
            options.runs / f"predicted-{share:g}",
            "replies",
            ("meta-train-jointly", "--predicted", f"{share:g}", *data),
        )
        for share in options.predicted
    ]


def load(start: Optional[str], folders: Mapping[str, Optional[str]]) -> Models:
    """The start's tracker, and the replies of all names, which adapt as the start recommends, so
    that what differs is what was trained.
    """
    replies = {name: load_replies(folder) for name, folder in folders.items()}
    for model in replies.values():
        model.card["adaptation"] = replies[START].card.get("adaptation")
    return Models(load_tracker(start), replies)


def rows_of(models: Models, split: Split, shots: int, embed: Optional[Embed] = None) -> List[Row]:
    """Measure all replies on one split: a row each.

    Of each held-out dialogue it has [learned tokens, their negative log likelihood], in both kinds
    of states.
    """
    schema, support, tracker = split.schema, split.pool[:shots], models.tracker
    told = [(dialogue, support_replies(schema, [dialogue])) for dialogue in split.held_out]
    dialogues = [dialogue for dialogue, replies in told if replies]
    adapter = adapt_to_support(tracker, schema, support, Adaptation.of(tracker, seed=split.seed))
    found = track_dialogues(tracker, schema, dialogues, adapter)
    states = {
        d.id: [p and p.state for p in predictions] for d, predictions in zip(dialogues, found)
    }
    jga = aggregate(s for d in dialogues for s in score_dialogue(schema, d, states[d.id])).jga

    known = [support_replies(schema, [dialogue]) for dialogue in support]
    labelled = [replies for _, replies in told if replies]
    predicted = [
        reread(schema, replies, with_predictions(dialogue, predictions))
        for replies, dialogue, predictions in zip(labelled, dialogues, found)
    ]
    rows = []
    for name, model in models.replies.items():
        queries = [*labelled, *predicted]
        episode = support_and_queries(model.tokens, schema, known, queries, embed or _embed())
        began = time.perf_counter()
        weights = adapt_replies(model, episode.support, seed=split.seed)
        seconds = time.perf_counter() - began
        measured = [_loss(model, sequence, weights) for sequence in episode.query]
        losses = {
            LABELLED: measured[: len(labelled)],
            PREDICTED: measured[len(labelled) :],
        }
        service, seed = split.name
        held_out = [dialogue.id for dialogue in dialogues]
        about = {"replies": name, "checkpoint": model.digest, "service": service, "seed": seed}
        about.update(held_out=held_out, seconds=seconds, state_jga=jga)
        rows.append({**about, **losses})
    return plain(rows)


def _loss(model: ReplyModel, sequence: Packed, weights: Weights) -> List[float]:
    learned = int(sequence.learned.sum())
    with torch.inference_mode():
        return [learned, round(float(model.loss([sequence], weights)) * learned, 4)]


@lru_cache(maxsize=1)
def _embed() -> Embed:
    return corpus_embed()


def options_of(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    training_options(parser)
    add = parser.add_argument
    add("--start", default=None, help="tracker to start from; default: the one that ships")
    add("--start-replies", default=None, help="replies to start from; default: those that ship")
    add("--predicted", type=float, nargs="+", default=[0.0, JointConfig.predicted], metavar="SHARE")
    add("--meta-steps", type=int, default=16, help="outer steps of each training")
    add("--shots", type=int, default=5, help="support dialogues")
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Train and measure what isn't yet, write and print."""
    options = options_of(arguments)
    torch.set_num_threads(options.threads)
    tracker, replies = load_tracker(options.start), load_replies(options.start_replies)
    Adaptation.of(tracker)  # these two raise where the start itself can't adapt
    adapt_replies(replies, ())
    corpus = read_all([str(options.data)], None)
    protocol = Protocol(shots=(options.shots,), seeds=options.seeds, limit=options.limit)
    known = [*tracker.training_services, *replies.training_services]
    services = choose_services(corpus, options.services, known)
    settings: Dict[str, Any] = {
        "start": {"tracker": tracker.digest, "replies": replies.digest},
        "data": label(options.data),
        "services": services,
        "episodes_a_step": JointConfig.episodes_a_step,
        "adapting": {
            "tracker": Adaptation.of(tracker).as_settings,
            "replies": replies.card.get("adaptation"),
        },
        **computing("cpu"),
        **{name: getattr(options, name) for name in ("predicted", "meta_steps", "shots")},
        **{name: getattr(options, name) for name in ("seed", "seeds", "limit", "threads")},
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    journal, _ = journal_beside(options.json, settings)
    wanted = trainings(options)
    seconds = train_all(wanted, jobs=options.jobs)
    folders = {START: options.start_replies, **{one.name: str(one.made) for one in wanted}}
    digests = {START: replies.digest, **{t.name: load_replies(t.made).digest for t in wanted}}
    refuse_others(journal, "replies", digests)
    done = {(row["service"], row["seed"]) for row in journal.rows}
    pieces = [one for one in splits(corpus, services, protocol) if one.name not in done]
    measure_pieces(
        journal,
        partial(rows_of, shots=options.shots),
        pieces,
        jobs=options.jobs,
        load=partial(load, options.start, folders),
        threads=options.threads,
    )
    results = {"settings": settings, "seconds": seconds, "runs": journal.rows}
    finish(journal, results, options.json, TABLE)


if __name__ == "__main__":
    as_command(main)
