"""Dialogue state tracking metrics by the definitions of SGD's published scorer.

The unit is one service frame of one user turn. The definitions are those of `metrics.py` and
`evaluate.py` in google-research/schema_guided_dst (Rastogi et al. 2020, "Towards Scalable
Multi-Domain Conversational Agents: The Schema-Guided Dialogue Dataset"):

- slot score: 1 where neither side sets the slot, 0 where only one does; where both do, a listed
  value must equal the first reference exactly, and a free value scores the best
  `token_sort_ratio / 100` over all references. Only the first predicted value counts.
- joint goal accuracy: the product of the slot scores of every slot of the schema.
- average goal accuracy: the mean over the slots that the reference sets; undefined where it sets
  none, and such turns are left out of the average.
- intent accuracy: whether the active intent is the reference's; none against none is right.
- requested-slot F1: of the two sets of requested slots, 1 where both are empty. The scorer averages
  that over all turns; its documentation means only the turns where one side is not empty. Both are
  reported here.

Every figure is a mean over turns; one that no turn defines is NaN.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from rapidfuzz.distance import Indel

from rasa_onramp.dialogue import Dialogue, Schema, Slot, State
from rasa_onramp.plain_json import plain

__all__ = [
    "Figures",
    "TurnScore",
    "aggregate",
    "score_dialogue",
    "score_turn",
    "token_sort_ratio",
]


@dataclass(frozen=True)
class TurnScore:
    """How well one predicted state matches its reference; each figure is in [0, 1].

    `average_goal_accuracy` is None where the reference sets no slot, `jga` where the schema has
    none. `requested_empty` says that neither side requests a slot.
    """

    domain: str
    jga: Optional[float]
    average_goal_accuracy: Optional[float]
    intent_accuracy: float
    requested_f1: float
    requested_empty: bool


@dataclass(frozen=True)
class Figures:
    """Means over `turns` scored turns; NaN where no turn defines the figure."""

    jga: float
    average_goal_accuracy: float
    intent_accuracy: float
    requested_f1: float
    requested_f1_nonempty: float
    turns: int

    def as_dict(self) -> Dict[str, Optional[float]]:
        """The figures by name, None instead of NaN, so that they can be written as JSON."""
        found: Dict[str, Optional[float]] = plain(asdict(self))
        return found


def score_turn(schema: Schema, reference: State, predicted: State) -> TurnScore:
    """Score one predicted state of `schema` against its reference.

    Slots that the schema doesn't have are not looked at. A slot with no value at all is not set.
    """
    scores: List[float] = []
    active: List[float] = []
    for slot in schema.slots:
        wanted = reference.values.get(slot.name, ())
        given = predicted.values.get(slot.name, ())
        score = _slot_score(slot, wanted, given)
        scores.append(score)
        if wanted:
            active.append(score)
    return TurnScore(
        domain=schema.name,
        jga=math.prod(scores) if scores else None,
        average_goal_accuracy=sum(active) / len(active) if active else None,
        intent_accuracy=float(reference.active_intent == predicted.active_intent),
        requested_f1=_f1(reference.requested_slots, predicted.requested_slots),
        requested_empty=not reference.requested_slots and not predicted.requested_slots,
    )


def score_dialogue(
    schema: Schema, dialogue: Dialogue, predicted: Sequence[Optional[State]]
) -> Tuple[TurnScore, ...]:
    """Score one predicted state per user turn; None counts as an empty state.

    User turns without a reference state have no frame of the domain and are not scored, as in the
    published scorer. Raises ValueError unless there are as many states as user turns.
    """
    turns = [turn for turn in dialogue.turns if turn.is_user]
    if len(turns) != len(predicted):
        raise ValueError(f"{len(turns)} user turns but {len(predicted)} predicted states")
    return tuple(
        score_turn(schema, turn.state, state or State())
        for turn, state in zip(turns, predicted)
        if turn.state is not None
    )


def aggregate(scores: Iterable[TurnScore]) -> Figures:
    """Mean of each figure over the turns that define it."""
    scores = tuple(scores)
    return Figures(
        jga=_mean(score.jga for score in scores),
        average_goal_accuracy=_mean(score.average_goal_accuracy for score in scores),
        intent_accuracy=_mean(score.intent_accuracy for score in scores),
        requested_f1=_mean(score.requested_f1 for score in scores),
        requested_f1_nonempty=_mean(
            score.requested_f1 for score in scores if not score.requested_empty
        ),
        turns=len(scores),
    )


@lru_cache(maxsize=65536)
def token_sort_ratio(reference: str, hypothesis: str) -> int:
    """fuzzywuzzy's `token_sort_ratio` with its default arguments: an integer in [0, 100].

    Both strings lose their Latin-1 supplement characters and punctuation, are lower-cased, and
    their words sorted; the ratio is 2 * matching characters / all characters, rounded half to even.
    rapidfuzz's own function of that name neither cleans by default nor rounds, and its
    `default_process` drops underscores, which fuzzywuzzy keeps.
    """
    left, right = _sorted_words(reference), _sorted_words(hypothesis)
    if left == right:
        return 100
    length = len(left) + len(right)
    return round(100 * ((length - Indel.distance(left, right)) / length))


_LATIN_1_SUPPLEMENT = dict.fromkeys(range(128, 256))
_NON_WORD = re.compile(r"\W")


def _sorted_words(text: str) -> str:
    cleaned = _NON_WORD.sub(" ", text.translate(_LATIN_1_SUPPLEMENT))
    return " ".join(sorted(cleaned.lower().split()))


def _slot_score(slot: Slot, wanted: Sequence[str], given: Sequence[str]) -> float:
    if not wanted or not given:
        return float(not wanted and not given)
    if slot.categorical:
        return float(wanted[0] == given[0])
    return max(token_sort_ratio(value, given[0]) for value in wanted) / 100


def _f1(reference: Sequence[str], predicted: Sequence[str]) -> float:
    # An empty side makes the ratio it divides 1, as in the published scorer.
    hits = sum((Counter(reference) & Counter(predicted)).values())
    precision = hits / len(predicted) if predicted else 1.0
    recall = hits / len(reference) if reference else 1.0
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _mean(values: Iterable[Optional[float]]) -> float:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else math.nan
