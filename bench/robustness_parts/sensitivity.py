"""How much a figure depends on a schema's wording.

By Lee et al. 2022, "SGD-X: A Benchmark for Robust Generalization in Schema-Guided Dialogue
Systems".
"""

from __future__ import annotations

import math
import statistics
from typing import Iterable, Sequence

__all__ = ["schema_sensitivity"]


def schema_sensitivity(turns: Iterable[Sequence[float]]) -> float:
    """SGD-X's SS: the mean over turns of the coefficient of variation over the schema's variants.

    Each turn has one score a variant, two variants at least. The coefficient is their sample
    standard deviation (K - 1 in the denominator) over their mean; a turn that is wrong under every
    variant doesn't vary: 0. It is 0 where wording makes no difference, and sqrt(K) for a turn that
    is right under one of K variants only. NaN without turns.
    """
    found = [_variation(scores) for scores in turns]
    return sum(found) / len(found) if found else math.nan


def _variation(scores: Sequence[float]) -> float:
    mean = statistics.fmean(scores)
    return statistics.stdev(scores) / mean if mean else 0.0
