"""Methods side by side on the same few dialogues: measured split by split, and summed up."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Collection, Dict, Generator, Iterator, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Corpus, State
from rasa_onramp.evaluation.methods import Learned, learn
from rasa_onramp.evaluation.metrics import TurnScore, aggregate, score_dialogue
from rasa_onramp.evaluation.protocol import Protocol, Split, SplitName, splits
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker

__all__ = ["Result", "evaluate", "measure", "summarise"]


@dataclass(frozen=True)
class Result:
    """Figures of one method on one support set.

    `seconds` is the time that adapting took, `steps` the gradient steps; `dialogues` has the scores
    of each held-out dialogue, in the order of `predictions`.
    """

    service: str
    method: str
    shots: int
    seed: int
    seconds: float
    dialogues: Tuple[Tuple[TurnScore, ...], ...]
    predictions: Mapping[str, Tuple[Optional[State], ...]]
    steps: int = 0
    computed: float = 0.0

    @property
    def scores(self) -> Tuple[TurnScore, ...]:
        """Those of all dialogues."""
        return tuple(score for scores in self.dialogues for score in scores)

    def row(self) -> Dict[str, object]:
        """A JSON-ready row, without predictions.

        Of each held-out dialogue it has [turns, their joint goal accuracies added up].
        """
        keys = ("service", "method", "shots", "seed", "seconds", "computed", "steps")
        row: Dict[str, object] = {key: getattr(self, key) for key in keys}
        row.update(asdict(aggregate(self.scores)))
        jga = [[s.jga for s in scores if s.jga is not None] for scores in self.dialogues]
        row["dialogues"] = [[len(defined), round(sum(defined), 4)] for defined in jga]
        return row


def evaluate(
    tracker: StateTracker,
    corpus: Corpus,
    services: Sequence[str],
    protocol: Protocol,
    *,
    done: Collection[SplitName] = (),
) -> Generator[Result, None, None]:
    """Measure in this process, one result at a time; processes.py does it in several.

    Splits that are `done` are left out.
    """
    for one in splits(corpus, services, protocol):
        if one.name not in done:
            yield from measure(tracker, one, protocol)


def measure(tracker: StateTracker, split: Split, protocol: Protocol) -> Iterator[Result]:
    """All support sizes and methods on one split, one result at a time."""
    schema, seed, offers = split.schema, split.seed, protocol.offers
    zero_shot: Optional[Tuple] = None
    for shots in protocol.shots:
        support = split.pool[:shots]
        taken: Dict[str, float] = {}
        for method in protocol.methods:
            # without support every method is the checkpoint as it is: measured once
            plain = shots == 0 or method == "zero-shot"
            if plain and zero_shot is not None:
                yield Result(schema.name, method, shots, seed, 0.0, *zero_shot)
                continue
            learned = Learned(tracker)
            if not plain:
                learned = learn(
                    method,
                    tracker,
                    schema,
                    support,
                    offers=offers,
                    seed=seed,
                    changes=protocol.changes,
                    finetuning=protocol.finetuning,
                    taken=taken,
                )
                taken[method] = learned.computed
            found = track_dialogues(
                learned.tracker,
                schema,
                split.held_out,
                learned.weights,
                offers=offers,
                history=protocol.history,
            )
            states = {
                d.id: tuple(p.state if p is not None else None for p in predictions)
                for d, predictions in zip(split.held_out, found)
            }
            scores = tuple(score_dialogue(schema, d, states[d.id]) for d in split.held_out)
            if plain:
                zero_shot = (scores, states)
            yield Result(
                service=schema.name,
                method=method,
                shots=shots,
                seed=seed,
                seconds=learned.seconds,
                dialogues=scores,
                predictions=states,
                steps=learned.steps,
                computed=learned.computed,
            )


def summarise(results: Sequence[Result]) -> List[Dict[str, object]]:
    """One row a method and support size: means over all turns, with their spread over seeds.

    `jga_services` weighs services alike instead; `jga_sd` is the standard deviation over seeds of
    a seed's mean over turns.
    """
    rows = []
    for method, shots in sorted({(r.method, r.shots) for r in results}, key=lambda k: (k[1], k[0])):
        chosen = [r for r in results if (r.method, r.shots) == (method, shots)]
        seeds = sorted({r.seed for r in chosen})
        by_seed = [
            aggregate(s for r in chosen if r.seed == seed for s in r.scores) for seed in seeds
        ]
        services = sorted({r.service for r in chosen})
        macro = [
            statistics.fmean(aggregate(r.scores).jga for r in chosen if r.service == name)
            for name in services
        ]
        jga = [f.jga for f in by_seed]
        everything = aggregate(s for r in chosen for s in r.scores)
        rows.append(
            {
                "method": method,
                "shots": shots,
                "seeds": len(seeds),
                **asdict(everything),
                "jga_sd": statistics.stdev(jga) if len(jga) > 1 else 0.0,
                "jga_services": statistics.fmean(macro),
                "seconds": statistics.fmean(r.seconds for r in chosen),
            }
        )
    return rows
