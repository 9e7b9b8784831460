"""A training run that is interrupted."""

from __future__ import annotations

from typing import Mapping

from rasa_onramp.metalearning.runs import Run

__all__ = ["Killed"]


class Killed(Run):
    """It is interrupted while it takes its third step."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt
        super().log(step, figures)
