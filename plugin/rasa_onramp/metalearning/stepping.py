"""An optimiser's steps on clipped gradients, of which one that is no number spoils nothing."""

from __future__ import annotations

import math
from typing import Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from rasa_onramp.errors import ConfigError

__all__ = ["MOST_LOST", "Stepper"]

#: Steps in a row that may be left out before training is given up.
MOST_LOST = 10


class Stepper:
    """Steps `optimiser`; the gradients of each sequence in `clipped` have a norm of `most` at most.

    A step whose gradient is NaN or infinite would make all parameters NaN, so it is left out.
    Several workers do so alike, because their gradients were averaged before.
    """

    def __init__(
        self, optimiser: torch.optim.Optimizer, clipped: Sequence[Sequence[Tensor]], most: float
    ):
        self._optimiser, self._clipped, self._most = optimiser, clipped, most
        self._lost = 0

    def take(self, step: int) -> float:
        """Take a step, or leave it out; returns the norm that the gradients had.

        Raises ConfigError if it is the last of `MOST_LOST` in a row that were left out.
        """
        norm = math.hypot(*(float(clip_grad_norm_(some, self._most)) for some in self._clipped))
        if math.isfinite(norm):
            self._optimiser.step()
            self._lost = 0
            return norm
        self._optimiser.zero_grad(set_to_none=True)
        self._lost += 1
        if self._lost == MOST_LOST:
            raise ConfigError(
                f"the loss or its gradient is NaN or infinite at step {step}, as at the "
                f"{MOST_LOST - 1} before it; resume the run with smaller learning rates"
            )
        return norm
