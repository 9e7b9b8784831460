"""Joint goal accuracy with intervals, and methods compared, from the rows of an evaluation's JSON.

Support sets and, where the rows tell them apart, dialogues are drawn anew (`bootstrap.py`);
services stay. With an own split (`Protocol.own_split`) seeds are orders of one support set,
measured on the same dialogues: a dialogue's figure is the mean over them.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from rasa_onramp.evaluation.bootstrap import Part, Path, compare_means, mean_estimate

__all__ = ["MAIN", "comparisons", "estimates", "jga_units"]

#: The method that the others are compared with.
MAIN = "adapted"

Row = Mapping[str, Any]


def jga_units(
    runs: Sequence[Row],
    splits: Sequence[Row],
    method: str,
    shots: int,
    *,
    own_split: bool = False,
) -> Dict[Path, Part]:
    """What each dialogue of each support set adds to the mean over turns.

    `splits` names the dialogues that `runs` have figures of. Where it doesn't, as in files of an
    earlier version, a support set's dialogues count as one.
    """
    held_out = {(s["service"], s["seed"]): s["held_out"] for s in splits}
    found: Dict[Path, List[Part]] = {}
    for run in runs:
        if (run["method"], run["shots"]) != (method, shots):
            continue
        name = (run["service"], run["seed"])
        drawn = (run["service"], 0) if own_split else name
        if name in held_out:
            for dialogue, (turns, jga) in zip(held_out[name], run["dialogues"]):
                found.setdefault((*drawn, dialogue), []).append((jga, turns))
        elif run["jga"] is None:  # a service without slots has none
            found.setdefault(drawn, []).append((0.0, 0))
        else:
            found.setdefault(drawn, []).append((run["jga"] * run["turns"], run["turns"]))
    return {path: _mean(parts) for path, parts in found.items()}


def estimates(
    runs: Sequence[Row], splits: Sequence[Row], *, own_split: bool = False
) -> List[Dict[str, Any]]:
    """A row a method and support size: `jga` is [value, low, high], the mean over turns."""
    rows = []
    for method, shots in _columns(runs):
        found = mean_estimate(jga_units(runs, splits, method, shots, own_split=own_split))
        rows.append({"method": method, "shots": shots, "jga": [found.value, found.low, found.high]})
    return rows


def comparisons(
    runs: Sequence[Row], splits: Sequence[Row], main: str = MAIN, *, own_split: bool = False
) -> List[Dict[str, Any]]:
    """A row a support size from 1 on and method that isn't `main`: `main` minus that method.

    `jga` is [value, low, high], `p` that of the paired permutation test; None where there are so
    few support sets that it can't be below 0.05, whatever was measured.
    """
    columns = _columns(runs)
    rows = []
    for method, shots in columns:
        if shots == 0 or method == main or (main, shots) not in columns:
            continue
        first, second = (
            jga_units(runs, splits, name, shots, own_split=own_split) for name in (main, method)
        )
        found = compare_means(first, second)
        sets = {path[:2] for path in first}
        rows.append(
            {
                "shots": shots,
                "minus": method,
                "jga": [found.value, found.low, found.high],
                "p": found.p if 2 / 2 ** len(sets) < 0.05 else None,
            }
        )
    return rows


def _mean(parts: Sequence[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    sums, numbers = zip(*parts)
    return math.fsum(sums) / len(parts), math.fsum(numbers) / len(parts)


def _columns(runs: Sequence[Row]) -> List[Tuple[str, int]]:
    """Methods and support sizes, by size and in the order that they were measured in."""
    found = dict.fromkeys((run["method"], run["shots"]) for run in runs)
    return sorted(found, key=lambda column: column[1])
