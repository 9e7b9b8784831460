"""Intervals for the difference between two methods measured on the same things."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from typing import Callable, Dict, Hashable, List, Mapping, Sequence, Tuple, TypeVar

__all__ = ["Difference", "paired_difference"]

Unit = TypeVar("Unit")

#: Where a unit belongs: a group that stays, then what is drawn anew, such as
#: (service, seed of the support set) or (service, seed of the support set, dialogue).
Path = Tuple[Hashable, ...]


@dataclass(frozen=True)
class Difference:
    """One method's figure minus another's, with the 95% interval [low, high]."""

    value: float
    low: float
    high: float


def paired_difference(
    first: Mapping[Path, Unit],
    second: Mapping[Path, Unit],
    statistic: Callable[[Sequence[Unit]], float],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """`statistic` of the first method's units minus that of the second's, with its interval.

    The interval is the middle 95% of the differences over `resamples` bootstrap samples. Groups
    (the first item of a path) stay as they are. Inside a group each further item of the paths is
    drawn anew, with replacement and by itself, as many as there are; a sample has the units of all
    combinations drawn that were measured. So support sets and dialogues both vary, also where every
    support set is measured on the same dialogues (Owen 2007, "The pigeonhole bootstrap"; rather too
    wide than too narrow). Both methods get the same draws, and the statistic is computed of all
    units of a sample: that of BLEU adds counts, it doesn't average scores.

    The interval is NaN if some sample's difference is. Raises ValueError for fewer than 40
    resamples, for no units, for paths of one item or of different lengths, and unless both methods
    have the same paths.
    """
    groups = _groups(first, second)
    if resamples < 40:
        raise ValueError(f"{resamples} resamples have no 95% interval; take 40 or more")
    rng = random.Random(seed)
    found = []
    for _ in range(resamples):
        drawn = [path for group in groups for path in _draw(rng, group, first)]
        found.append(statistic([first[p] for p in drawn]) - statistic([second[p] for p in drawn]))
    value = statistic(list(first.values())) - statistic([second[path] for path in first])
    if any(math.isnan(each) for each in found):
        return Difference(value, math.nan, math.nan)
    found.sort()
    outside = resamples // 40
    return Difference(value, found[outside], found[-1 - outside])


#: A group's name and, for each further item of its paths, the ones that occur.
_Group = Tuple[Hashable, Tuple[Tuple[Hashable, ...], ...]]


def _groups(first: Mapping[Path, Unit], second: Mapping[Path, Unit]) -> List[_Group]:
    if not first or first.keys() != second.keys():
        raise ValueError("both methods must be measured on the same units, one at least")
    depths = {len(path) for path in first}
    if len(depths) > 1 or min(depths) < 2:
        raise ValueError("each path must name a group and, alike, what is drawn in it")
    members: Dict[Hashable, List[Path]] = {}
    for path in first:
        members.setdefault(path[0], []).append(path[1:])
    return [
        (name, tuple(tuple(dict.fromkeys(items)) for items in zip(*paths)))
        for name, paths in members.items()
    ]


def _draw(rng: random.Random, group: _Group, measured: Mapping[Path, Unit]) -> List[Path]:
    """One sample of a group's paths; drawn again where none of its combinations was measured."""
    name, items = group
    drawn: List[Path] = []
    while not drawn:
        draws = [[rng.choice(each) for _ in each] for each in items]
        paths = ((name, *rest) for rest in itertools.product(*draws))
        drawn = [path for path in paths if path in measured]
    return drawn
