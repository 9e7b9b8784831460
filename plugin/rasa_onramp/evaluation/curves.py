"""The few-shot curve of one domain of the store, on its own held-out dialogues."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.few_shot import Result, measure
from rasa_onramp.evaluation.metrics import aggregate
from rasa_onramp.evaluation.protocol import Protocol, Split, own_split
from rasa_onramp.store import Curve, Store
from rasa_onramp.store.retry_while_busy import patiently
from rasa_onramp.tracker.model import StateTracker

__all__ = ["measure_curve", "shots_of"]

#: Numbers of support dialogues that are measured where a domain has as many.
_SHOTS = (0, 1, 2, 5, 10, 20)


def shots_of(support: int) -> Tuple[int, ...]:
    """What is measured of a domain with so many support dialogues: a few, and all of them."""
    return (*(shots for shots in _SHOTS if shots < support), support)


def measure_curve(
    store: Store,
    tracker: StateTracker,
    domain: str,
    *,
    shots: Optional[Sequence[int]] = None,
    seeds: int = 1,
    limit: Optional[int] = None,
    after_each: Optional[Callable[[Curve], None]] = None,
) -> Curve:
    """Adapt to the first few of a domain's support dialogues, ever more of them, and measure each
    time on the same held-out dialogues, at most `limit`. No version is made.

    Of each of `shots` the figures are means over `seeds` orders of the support dialogues. The curve
    is stored as far as it is done after each of them, and `after_each` gets it; until the first is
    done, the former curve stays. Raises ConfigError where the domain has too few dialogues,
    NotFound, StoreError, StoreUnavailable.
    """
    found = store.support(domain)
    wanted = shots_of(len(found.dialogues)) if shots is None else tuple(sorted(set(shots)))
    if not found.held_out:
        raise ConfigError(
            f"domain {domain!r} has no held-out dialogues to measure on; import some with "
            "`split: held-out`"
        )
    if max(wanted) > len(found.dialogues):
        raise ConfigError(
            f"domain {domain!r} has {len(found.dialogues)} support dialogues, not {max(wanted)}; "
            "ask for fewer"
        )
    everything = (*found.dialogues, *found.held_out)
    splits = []
    for seed in range(seeds):
        pool, held_out = own_split(everything, seed, limit)
        splits.append(Split(found.schema, tuple(pool), tuple(held_out), seed))
    points: List[Mapping[str, Any]] = []
    curve = Curve(
        domain=domain,
        wanted=wanted,
        points=(),
        held_out=len(splits[0].held_out),
        seeds=seeds,
        support_digest=found.digest,
        checkpoint_digest=tracker.digest,
    )
    for count in wanted:
        # a running bot knows what it said itself, so measure it as it will be used
        how = Protocol(shots=(count,), methods=("adapted",), offers=True)
        results = [result for split in splits for result in measure(tracker, split, how)]
        points.append(_point(count, results))
        curve = replace(curve, points=tuple(points))
        patiently("onramp.curve.waits", store.curves.save, curve)
        if after_each is not None:
            after_each(curve)
    return curve


def _point(shots: int, results: Sequence[Result]) -> Dict[str, Any]:
    figures = [aggregate(result.scores) for result in results]
    return {
        "shots": shots,
        "jga": fmean(each.jga for each in figures),
        "average_goal_accuracy": fmean(each.average_goal_accuracy for each in figures),
        "seconds": fmean(result.seconds for result in results),
    }
