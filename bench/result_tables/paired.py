"""Cells of what was measured side by side: means with their intervals, and paired differences."""

from __future__ import annotations

from typing import Dict, Mapping

from rasa_onramp.evaluation.bootstrap import Part as Sum
from rasa_onramp.evaluation.bootstrap import Path, compare_means, mean_estimate
from rasa_onramp.evaluation.intervals import jga_units
from result_tables.table import Results, difference, p_value

__all__ = ["NOTE", "ONE_TRAINING", "Units", "dialogues", "interval", "minus", "units"]

#: Of each held-out dialogue of each support set, its JGA's sum and its turns.
Units = Dict[Path, Sum]

#: What stands below such cells.
NOTE = (
    "JGA with its 95% interval, by bootstrap over support sets and dialogues, services as they "
    "are; differences are paired."
)
#: The same where trainings stand in the rows.
ONE_TRAINING = (
    "Each is one training: by how much another seed's would differ isn't in any interval, so no "
    "difference of trainings is tested."
)


def dialogues(size: int) -> str:
    """What a column of so many support dialogues is called."""
    return f"{size} dialogue" + "s" * (size != 1)


def units(found: Results, tracker: str, method: str, shots: int) -> Units:
    """What one tracker and method had with so many support dialogues."""
    own = [run for run in found["runs"] if run["tracker"] == tracker]
    return jga_units(own, found["splits"], method, shots)


def interval(measured: Mapping[Path, Sum]) -> str:
    """The mean over turns."""
    found = mean_estimate(measured)
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def minus(first: Mapping[Path, Sum], second: Mapping[Path, Sum], *, tested: bool = True) -> str:
    """The first minus the second; not `tested` where they are trainings, of which there are few."""
    found = compare_means(first, second)
    told = difference(found.value, found.low, found.high)
    return f"{told}, p {p_value(found.p)}" if tested else told.strip("*")
