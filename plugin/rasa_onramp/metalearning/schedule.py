"""How far a run is, and the learning rate that goes with it."""

from __future__ import annotations

import math
from typing import Optional

__all__ = ["cosine", "risen_and_fallen", "share_done", "warm_cosine"]


def share_done(step: int, steps: int, elapsed: float, minutes: Optional[float]) -> float:
    """How much of a run is done after `elapsed` seconds: by steps or by `minutes`, whichever is
    further on; 1 and above is its end.
    """
    return max(step / steps, elapsed / 60 / minutes if minutes else 0)


def cosine(done: float, floor: float) -> float:
    """Cosine decay from 1 to `floor` as `done` goes from 0 to 1."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def warm_cosine(step: int, done: float, warmup: int) -> float:
    """Linear warm-up over `warmup` steps, or a twentieth of the run where that is over sooner, then
    cosine decay to a twentieth.
    """
    return min(1.0, max((step + 1) / warmup, done / 0.05)) * cosine(done, 0.05)


def risen_and_fallen(rate: float, step: int, total: float, warmup: float) -> float:
    """The peak `rate` after a linear rise over the share `warmup` of `total` steps and, from the
    first step on, a linear fall to nothing.
    """
    return rate * min(1.0, (step + 1) / max(1.0, warmup * total)) * (1 - step / total)
