"""What the rows come to: each condition against the clean one, with intervals."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.evaluation.bootstrap import Difference, paired_difference
from robustness_parts.conditions import CLEAN, GROUPS, MISSED, PARAPHRASED
from robustness_parts.measuring import Row
from robustness_parts.sensitivity import schema_sensitivity

__all__ = ["missed_slots", "sensitivities", "summarise"]

#: (service, seed, held-out dialogue) → the dialogue's scores, one a turn
Scores = Dict[Tuple[str, int, str], List[float]]


def summarise(rows: Sequence[Row], resamples: int = 10_000) -> List[Row]:
    """A row a method and kind of condition: its JGA, that of the same turns in the clean condition,
    and the difference.

    A turn's score in a kind of several conditions is its mean over them. Studies count where every
    condition of the kind was measured, and the clean one. The interval of the difference is that of
    `paired_difference`, services kept, support sets and held-out dialogues drawn anew. A row of
    adapting has what it has over plain fine-tuning, too, where both were measured.
    """
    found = []
    for method in _methods(rows):
        clean = _scores(rows, method, CLEAN)
        for group in GROUPS:
            scores = _scores(rows, method, group)
            both = [path for path in scores if path in clean]
            if not both:
                continue
            here = {path: scores[path] for path in both}
            there = {path: clean[path] for path in both}
            row: Row = {
                "condition": group,
                "method": method,
                "services": len({service for service, _, _ in both}),
                "turns": sum(map(len, here.values())),
                "jga": _mean(list(here.values())),
                "clean_jga": _mean(list(there.values())),
            }
            if group != CLEAN:
                row["minus_clean"] = _interval(here, there, resamples)
            if method == "adapted":
                row.update(_minus_finetuned(rows, group, "turn_jga", resamples))
            found.append(row)
    return found


def sensitivities(rows: Sequence[Row]) -> List[Row]:
    """SGD-X's figures for each method: the JGA under each paraphrase, their mean, and SS (JGA)."""
    found = []
    for method in _methods(rows):
        conditions = _by_condition(rows, method, PARAPHRASED)
        if len(conditions) < 2:
            continue
        paths = sorted(set.intersection(*(set(scores) for scores in conditions.values())))
        turns = [
            turn
            for path in paths
            for turn in zip(*(scores[path] for scores in conditions.values()))
        ]
        if turns:
            each = {
                name: _mean([scores[path] for path in paths]) for name, scores in conditions.items()
            }
            found.append(
                {
                    "method": method,
                    "jga": each,
                    "mean_jga": sum(each.values()) / len(each),
                    "schema_sensitivity": schema_sensitivity(turns),
                    "turns": len(turns),
                }
            )
    return found


def missed_slots(rows: Sequence[Row], resamples: int = 10_000) -> List[Row]:
    """For each method, the accuracy of the slots that a support set missed, in the turns that hold
    them; with the clean support set; and the difference.
    """
    found = []
    for method in _methods(rows):
        clean = _scores(rows, method, CLEAN, "slot_scores")
        missed = _scores(rows, method, MISSED, "slot_scores")
        both = [path for path in missed if path in clean and missed[path]]
        if both:
            here = {path: missed[path] for path in both}
            there = {path: clean[path] for path in both}
            row: Row = {
                "method": method,
                "services": len({service for service, _, _ in both}),
                "turns": sum(map(len, here.values())),
                "accuracy": _mean(list(here.values())),
                "clean_accuracy": _mean(list(there.values())),
                "minus_clean": _interval(here, there, resamples),
            }
            if method == "adapted":
                row.update(_minus_finetuned(rows, MISSED, "slot_scores", resamples))
            found.append(row)
    return found


def _minus_finetuned(rows: Sequence[Row], group: str, what: str, resamples: int) -> Row:
    """`adapted` minus `finetune` on what both were measured on; nothing where that is nothing."""
    first, second = (_scores(rows, method, group, what) for method in ("adapted", "finetune"))
    both = [path for path in first if second.get(path)]
    if not both:
        return {}
    here, there = ({path: scores[path] for path in both} for scores in (first, second))
    return {"minus_finetune": _interval(here, there, resamples)}


def _methods(rows: Sequence[Row]) -> List[str]:
    return list(dict.fromkeys(row["method"] for row in rows))


def _by_condition(
    rows: Sequence[Row], method: str, group: str, what: str = "turn_jga"
) -> Dict[str, Scores]:
    found: Dict[str, Scores] = {}
    for row in rows:
        if row["method"] == method and row["group"] == group:
            scores = found.setdefault(row["condition"], {})
            for dialogue, turns in zip(row["held_out"], row.get(what, ())):
                scores[row["service"], row["seed"], dialogue] = turns
    return {name: found[name] for name in sorted(found)}


def _scores(rows: Sequence[Row], method: str, group: str, what: str = "turn_jga") -> Scores:
    """Each turn's mean over the kind's conditions; only what was measured in all of them."""
    conditions = list(_by_condition(rows, method, group, what).values())
    if not conditions:
        return {}
    paths = [path for path in conditions[0] if all(path in other for other in conditions)]
    return {
        path: [sum(turn) / len(turn) for turn in zip(*(each[path] for each in conditions))]
        for path in paths
    }


def _mean(dialogues: Sequence[Sequence[float]]) -> float:
    """Of all turns alike; NaN without any."""
    turns = sum(map(len, dialogues))
    return sum(map(sum, dialogues)) / turns if turns else math.nan


def _interval(here: Scores, there: Scores, resamples: int) -> List[Optional[float]]:
    """[difference, low, high]; None for what isn't defined: no interval where a service has one
    dialogue, which no draw leaves out.
    """

    def sums(scores: Scores) -> Mapping[Tuple[str, int, str], Tuple[float, int]]:
        return {path: (sum(turns), len(turns)) for path, turns in scores.items()}

    def mean(units: Sequence[Tuple[float, int]]) -> float:
        turns = sum(count for _, count in units)
        return sum(total for total, _ in units) / turns if turns else math.nan

    found: Difference = paired_difference(sums(here), sums(there), mean, resamples=resamples)
    values: List[Any] = [found.value, found.low, found.high]
    if min(Counter(service for service, _, _ in here).values()) < 2:
        values[1:] = [math.nan, math.nan]
    return [None if math.isnan(value) else value for value in values]
