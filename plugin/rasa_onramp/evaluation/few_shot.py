"""The few-shot protocol: support sets drawn by seed, the rest held out, methods side by side."""

from __future__ import annotations

import random
import statistics
from dataclasses import asdict, dataclass, field
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Generator,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from rasa_onramp.dialogue import Corpus, Dialogue, Schema, State
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.methods import METHODS, Learned, learn
from rasa_onramp.evaluation.metrics import TurnScore, aggregate, score_dialogue
from rasa_onramp.metalearning.finetuning import FineTuning
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker

__all__ = [
    "Protocol",
    "Result",
    "Split",
    "SplitName",
    "choose_services",
    "evaluate",
    "measure",
    "own_split",
    "split",
    "splits",
    "summarise",
]

#: (service, seed): the split that something is measured on.
SplitName = Tuple[str, int]

#: Told of each (service, shots, seed, method) when it is done.
Progress = Callable[["Result"], None]


@dataclass(frozen=True)
class Protocol:
    """What to measure.

    `dialogues` "single" takes dialogues about one service only, "all" every dialogue; `limit` caps
    the held-out dialogues of a service; `offers` marks the bot's own stated values (a track of its
    own: text-only figures don't have it). `own_split` takes the corpus's own support and held-out
    dialogues; seeds then only shuffle the support dialogues. `adaptation` changes what the
    checkpoint recommends to adapt with; `history` is how many utterances a turn is read with, in
    adapting and in tracking (None: all that fit).

    Raises ConfigError if `finetune-time` is to be measured without `adapted` before it.
    """

    shots: Tuple[int, ...] = (0, 5)
    seeds: int = 5
    methods: Tuple[str, ...] = METHODS
    dialogues: str = "single"
    limit: Optional[int] = None
    offers: bool = False
    own_split: bool = False
    finetuning: FineTuning = field(default_factory=FineTuning)
    steps: Optional[int] = None
    adaptation: Mapping[str, Any] = field(default_factory=dict)
    history: Optional[int] = None

    def __post_init__(self) -> None:
        if "finetune-time" in self.methods:
            before = self.methods[: self.methods.index("finetune-time")]
            if "adapted" not in before:
                raise ConfigError(
                    "finetune-time takes as long as adapted took; name adapted before it"
                )

    @property
    def changes(self) -> Mapping[str, Any]:
        """What of an Adaptation differs from what the checkpoint recommends."""
        return {"steps": self.steps, "history": self.history, **self.adaptation}


@dataclass(frozen=True)
class Split:
    """A service's dialogues under one seed: support sets are prefixes of `pool`."""

    schema: Schema
    pool: Tuple[Dialogue, ...]
    held_out: Tuple[Dialogue, ...]
    seed: int

    @property
    def name(self) -> SplitName:
        """What tells it from the other splits of an evaluation."""
        return self.schema.name, self.seed


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

    @property
    def scores(self) -> Tuple[TurnScore, ...]:
        """Those of all dialogues."""
        return tuple(score for scores in self.dialogues for score in scores)

    def row(self) -> Dict[str, object]:
        """A JSON-ready row, without predictions.

        Of each held-out dialogue it has [turns, their joint goal accuracies added up].
        """
        keys = ("service", "method", "shots", "seed", "seconds", "steps")
        row: Dict[str, object] = {key: getattr(self, key) for key in keys}
        row.update(asdict(aggregate(self.scores)))
        jga = [[s.jga for s in scores if s.jga is not None] for scores in self.dialogues]
        row["dialogues"] = [[len(defined), round(sum(defined), 4)] for defined in jga]
        return row


def choose_services(corpus: Corpus, wanted: str, training_services: Sequence[str]) -> List[str]:
    """Services by "unseen" (not trained on), "all", or names separated by commas.

    Raises ConfigError for a name the corpus lacks, or when nothing is left.
    """
    if wanted == "all":
        names = list(corpus.schemas)
    elif wanted == "unseen":
        names = [name for name in corpus.schemas if name not in training_services]
    else:
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        unknown = [name for name in names if name not in corpus.schemas]
        if unknown:
            known = ", ".join(corpus.schemas)
            raise ConfigError(f"no service {unknown[0]!r} in this data; it has {known}")
    present = {dialogue.domain for dialogue in corpus.dialogues}
    names = [name for name in names if name in present]
    if not names:
        raise ConfigError(f"--services {wanted} leaves no service with dialogues; try `all`")
    return names


def split(
    dialogues: Sequence[Dialogue], shots: Sequence[int], seed: int, limit: Optional[int]
) -> Tuple[List[Dialogue], List[Dialogue]]:
    """(support pool, held out) of one seed: supports of all sizes are prefixes of one pool.

    So every support size of a seed is measured on the same held-out dialogues.
    """
    order = random.Random(seed).sample(list(dialogues), len(dialogues))
    pool = max(shots)
    held_out = order[pool:]
    return order[:pool], held_out[:limit] if limit else held_out


def own_split(
    dialogues: Sequence[Dialogue], seed: int, limit: Optional[int]
) -> Tuple[List[Dialogue], List[Dialogue]]:
    """(support pool, held out) as the corpus itself splits them, the pool shuffled by seed.

    Dialogues of no split count as support, as in onboarding.
    """
    pool = [d for d in dialogues if d.split != "held-out"]
    held_out = [d for d in dialogues if d.split == "held-out"]
    return random.Random(seed).sample(pool, len(pool)), held_out[:limit] if limit else held_out


def splits(corpus: Corpus, services: Sequence[str], protocol: Protocol) -> Iterator[Split]:
    """What is measured, a service and seed at a time; services with too few dialogues are left out.

    Splits depend on nothing but these, nor on one another: any process may take any of them.
    """
    about: Dict[str, int] = {}
    for dialogue in corpus.dialogues:
        about[dialogue.id] = about.get(dialogue.id, 0) + 1
    for service in services:
        own = [d for d in corpus.dialogues if d.domain == service]
        if protocol.dialogues == "single":
            own = [d for d in own if about[d.id] == 1]
        for seed in range(protocol.seeds):
            if protocol.own_split:
                pool, held_out = own_split(own, seed, protocol.limit)
            else:
                pool, held_out = split(own, protocol.shots, seed, protocol.limit)
            if len(pool) < max(protocol.shots) or not held_out:
                break
            yield Split(corpus.schemas[service], tuple(pool), tuple(held_out), seed)


def evaluate(
    tracker: StateTracker,
    corpus: Corpus,
    services: Sequence[str],
    protocol: Protocol,
    progress: Optional[Progress] = None,
    *,
    done: Collection[SplitName] = (),
) -> Generator[Result, None, None]:
    """Measure in this process, one result at a time; processes.py does it in several.

    Splits that are `done` are left out.
    """
    for one in splits(corpus, services, protocol):
        if one.name in done:
            continue
        for result in measure(tracker, one, protocol):
            if progress is not None:
                progress(result)
            yield result


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
                taken[method] = learned.seconds
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
                schema.name, method, shots, seed, learned.seconds, scores, states, learned.steps
            )


def summarise(results: Sequence[Result]) -> List[Dict[str, object]]:
    """One row a method and support size: means over all turns, with their spread over seeds.

    `jga` weighs turns alike, `jga_services` services alike; `jga_sd` is the standard deviation of
    `jga` over seeds.
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
                "jga": statistics.fmean(jga),
                "jga_sd": statistics.stdev(jga) if len(jga) > 1 else 0.0,
                "jga_services": statistics.fmean(macro),
                "seconds": statistics.fmean(r.seconds for r in chosen),
            }
        )
    return rows
