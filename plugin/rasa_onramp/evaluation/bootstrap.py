"""Intervals for a method's figure, and for the difference of two measured on the same things.

`paired_difference` takes any statistic; `mean_estimate` and `compare_means` are for means, whose
samples are drawn in the same way, but all at once.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Callable, Dict, Hashable, List, Mapping, Sequence, Tuple, TypeVar

import numpy

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "Part",
    "Path",
    "compare_means",
    "mean_estimate",
    "paired_difference",
]

Unit = TypeVar("Unit")

#: Where a unit belongs: a group that stays, then what is drawn anew, such as
#: (service, seed of the support set) or (service, seed of the support set, dialogue).
Path = Tuple[Hashable, ...]


#: What a unit adds to a mean: (sum, number), such as (the joint goal accuracies of a dialogue's
#: turns added up, how many turns).
Part = Tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval [low, high]."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Estimate):
    """One method's figure minus another's."""


@dataclass(frozen=True)
class Comparison(Difference):
    """A difference with the p value of a paired permutation test: two-sided, for itself alone."""

    p: float


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


def mean_estimate(
    units: Mapping[Path, Part], *, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """The mean, all sums by all numbers, with its interval by samples as of `paired_difference`.

    Paths are of a group, a support set and, or not, a dialogue. All is NaN where all numbers are 0.
    Raises ValueError for other paths, for no units, and for fewer than 40 resamples.
    """
    return Estimate(*_mean_interval(units, resamples, seed))


def compare_means(
    first: Mapping[Path, Part],
    second: Mapping[Path, Part],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """The mean of the first method minus that of the second, with its interval and p value.

    p is of a sign-flip test (Fisher 1935, "The Design of Experiments"): how often the difference is
    at least as large, either way, when in each support set it is left to chance which method is
    which. All dialogues of a support set go together, since one act of learning lies behind them.
    All ways are counted where there are no more than `resamples`; else so many are drawn, and the
    one that was observed counts too, so that p is never 0 (Phipson and Smyth 2010).

    Raises ValueError as `mean_estimate` does, and unless both have the same numbers at the same
    paths.
    """
    if {path: number for path, (_, number) in first.items()} != {
        path: number for path, (_, number) in second.items()
    }:
        raise ValueError("both methods must be measured on the same units")
    parts = {path: (first[path][0] - second[path][0], first[path][1]) for path in first}
    value, low, high = _mean_interval(parts, resamples, seed)
    return Comparison(value, low, high, _sign_flip_p(parts, resamples, seed))


def _mean_interval(
    units: Mapping[Path, Part], resamples: int, seed: int
) -> Tuple[float, float, float]:
    whole = {path if len(path) > 2 else (*path, ""): part for path, part in units.items()}
    if any(len(path) != 3 for path in whole):
        raise ValueError("each path must name a group, a support set and, or not, a dialogue")
    if resamples < 40:
        raise ValueError(f"{resamples} resamples have no 95% interval; take 40 or more")
    groups = _groups(whole, whole)
    if not any(number for _, number in whole.values()):
        return math.nan, math.nan, math.nan
    total = numpy.zeros((2, resamples))
    for number, (name, (sets, dialogues)) in enumerate(groups):
        table = numpy.zeros((2, len(sets), len(dialogues)))
        for (group, one, dialogue), part in whole.items():
            if group == name:
                table[:, sets.index(one), dialogues.index(dialogue)] = part
        total += _sampled(table, resamples, (seed, number))
    sums, numbers = total
    found = numpy.sort(sums / numbers)
    outside = resamples // 40
    value = math.fsum(s for s, _ in whole.values()) / math.fsum(n for _, n in whole.values())
    return value, float(found[outside]), float(found[-1 - outside])


def _sampled(table: numpy.ndarray, resamples: int, seed: Tuple[int, ...]) -> numpy.ndarray:
    """Sums and numbers (2, resamples) of samples of a group's `table` (2, sets, dialogues)."""
    found = numpy.zeros((2, resamples))
    empty = numpy.arange(resamples if table[1].any() else 0)
    while len(empty):  # drawn again where nothing that was drawn had been measured
        seed = (*seed, len(empty))
        sets, dialogues = (
            _times(count, len(empty), (*seed, axis)) for axis, count in enumerate(table.shape[1:])
        )
        found[:, empty] = ((sets @ table) * dialogues).sum(axis=2)
        empty = empty[found[1, empty] == 0]
    return found


@lru_cache(maxsize=32)
def _times(count: int, resamples: int, seed: Tuple[int, ...]) -> numpy.ndarray:
    """How often each of `count` is drawn in `count` draws, (resamples, count).

    Kept, since the same draws serve all methods and support sizes of an evaluation.
    """
    # the old generator's numbers are the same in every version of numpy
    rng = numpy.random.RandomState(seed)
    return rng.multinomial(count, [1 / count] * count, size=resamples).astype(numpy.int16)


def _sign_flip_p(parts: Mapping[Path, Part], resamples: int, seed: int) -> float:
    by_set: Dict[Path, float] = {}
    for path, (total, _) in parts.items():
        by_set[path[:2]] = by_set.get(path[:2], 0.0) + total
    gains = numpy.array(list(by_set.values()))
    least = abs(gains.sum()) - 1e-9 * numpy.abs(gains).sum()  # rounding isn't a difference
    if 2 ** len(gains) <= resamples:
        signs = numpy.array(list(itertools.product((-1, 1), repeat=len(gains))))
        return float((numpy.abs(signs @ gains) >= least).mean())
    signs = numpy.random.RandomState(seed).randint(0, 2, (resamples, len(gains))) * 2 - 1
    as_large = int((numpy.abs(signs @ gains) >= least).sum())
    return (as_large + 1) / (resamples + 1)


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
