"""The runs of `rasa-onramp evaluate --json`, from one file or several, as tables choose them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Dict, List, Sequence

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.intervals import MAIN
from rasa_onramp.evaluation.methods import METHOD_NAMES
from result_tables.table import Results

__all__ = ["Run", "jga_of", "methods_of", "name_of", "of", "runs_of", "values_of"]

Run = Dict[str, Any]


def runs_of(results: Sequence[Results]) -> List[Run]:
    """The runs of all files. Raises ConfigError for one that stands in two of them, and for one
    that a method lacks and another has.
    """
    found = [run for one in results for run in one["runs"]]
    names = [tuple(run[k] for k in ("service", "seed", "shots", "method")) for run in found]
    for name, times in Counter(names).items():
        if times > 1:
            raise ConfigError(
                f"{times} runs of {name[0]}, seed {name[1]}, {name[2]} dialogues, {name[3]} in the "
                "files of one table; take one of them out of bench/results"
            )
    methods = {(shots, method) for _, _, shots, method in names}
    wanted = {(*name[:2], *column) for name in names for column in methods if name[2] == column[0]}
    for service, seed, shots, method in sorted(wanted - set(names)):
        raise ConfigError(
            f"{method} has no run of {service}, seed {seed}, {shots} dialogues, which another "
            "method of the table has; measure it, or leave the service or the method out"
        )
    return found


def of(runs: Sequence[Run], method: str, shots: int) -> List[Run]:
    """Those of a method on so many dialogues."""
    return [r for r in runs if (r["method"], r["shots"]) == (method, shots)]


def values_of(runs: Sequence[Run], key: str) -> set:
    """What runs have under a key."""
    return {run[key] for run in runs}


def methods_of(runs: Sequence[Run]) -> List[str]:
    """Those that were measured, the one that all are compared with last."""
    measured = values_of(runs, "method")
    known = [*METHOD_NAMES, *sorted(measured - METHOD_NAMES.keys())]
    others = [method for method in known if method in measured and method != MAIN]
    return [*others, *({MAIN} & measured)]


def name_of(method: str) -> str:
    """What tables call a method."""
    return METHOD_NAMES.get(method, method)


def jga_of(runs: Sequence[Run]) -> float:
    """The mean over turns; a service without slots has none."""
    found = [run for run in runs if run["jga"] is not None]
    if not found:
        return math.nan
    return sum(r["jga"] * r["turns"] for r in found) / sum(r["turns"] for r in found)
