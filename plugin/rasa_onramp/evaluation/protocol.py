"""The few-shot protocol: support sets drawn by seed, the rest held out."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Corpus, Dialogue, Schema, conversation
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.methods import METHODS
from rasa_onramp.metalearning.finetuning import FineTuning

__all__ = [
    "Protocol",
    "Split",
    "SplitName",
    "choose_services",
    "own_split",
    "split",
    "splits",
]

#: (service, seed): the split that something is measured on.
SplitName = Tuple[str, int]


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

    @property
    def ids(self) -> Dict[str, object]:
        """Which dialogues its support sets begin with, and which figures on it are of."""
        return {
            "service": self.schema.name,
            "seed": self.seed,
            "support": [dialogue.id for dialogue in self.pool],
            "held_out": [dialogue.id for dialogue in self.held_out],
        }


def choose_services(corpus: Corpus, wanted: str, training_services: Sequence[str]) -> List[str]:
    """Services by "unseen" (not trained on), "all", or names separated by commas.

    Raises ConfigError for a name the corpus lacks, or when nothing is left.
    """
    if wanted == "all":
        names = list(corpus.schemas)
    elif wanted == "unseen":
        names = [name for name in corpus.schemas if name not in training_services]
    else:
        names = list(dict.fromkeys(filter(None, map(str.strip, wanted.split(",")))))
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
    about = Counter(conversation(dialogue) for dialogue in corpus.dialogues)
    for service in services:
        own = [d for d in corpus.dialogues if d.domain == service]
        if protocol.dialogues == "single":
            own = [d for d in own if about[conversation(d)] == 1]
        for seed in range(protocol.seeds):
            if protocol.own_split:
                pool, held_out = own_split(own, seed, protocol.limit)
            else:
                pool, held_out = split(own, protocol.shots, seed, protocol.limit)
            if len(pool) < max(protocol.shots) or not held_out:
                break
            yield Split(corpus.schemas[service], tuple(pool), tuple(held_out), seed)
