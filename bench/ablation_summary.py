"""What the rows of bench/ablations.py come to: each setting beside the one it differs from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, List, Sequence, Tuple

from ablation_settings import Setting
from rasa_onramp.evaluation.bootstrap import paired_difference
from rasa_onramp.evaluation.journal import Row

__all__ = ["FIGURES", "summary"]

RESAMPLES = 2_000

#: Of a dialogue: sum of JGA, turns, sum of average goal accuracy, turns.
Unit = Tuple[float, ...]


def summary(rows: Sequence[Row], settings: Sequence[Setting]) -> List[Row]:
    """A row a setting: its figures, and those less the base's, on what both were measured on."""
    units: Dict[str, Dict[Tuple[Any, ...], Unit]] = {}
    for row in rows:
        known = units.setdefault(row["setting"], {})
        for dialogue, sums in row["dialogues"].items():
            known[(row["service"], row["seed"], dialogue)] = tuple(sums)
    found = []
    for setting in settings:
        own, base = units.get(setting.name, {}), units.get(setting.base.name, {})
        both = [path for path in own if path in base]
        if not both:
            continue
        first, second = {p: own[p] for p in both}, {p: base[p] for p in both}
        line: Row = {
            "setting": setting.name,
            "base": setting.base.name,
            "services": len({path[0] for path in both}),
            "support_sets": len({path[:2] for path in both}),
            "turns": sum(unit[1] for unit in first.values()),
        }
        for name, figure in FIGURES.items():
            line[name] = round(figure(list(first.values())), 4)
            if setting != setting.base:
                minus = paired_difference(first, second, figure, resamples=RESAMPLES)
                line[f"{name}_minus_base"] = [round(v, 4) for v in asdict(minus).values()]
        found.append(line)
    return found


def _jga(units: Sequence[Unit]) -> float:
    return sum(unit[0] for unit in units) / sum(unit[1] for unit in units)


def _goal_accuracy(units: Sequence[Unit]) -> float:
    return sum(unit[2] for unit in units) / sum(unit[3] for unit in units)


#: Means over turns: joint goal accuracy, and the average over the slots that are set.
FIGURES = {"jga": _jga, "goal_accuracy": _goal_accuracy}
