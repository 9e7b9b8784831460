"""Whether a new version may replace what a domain runs on, by the same held-out dialogues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional

from torch import Tensor

from rasa_onramp.errors import CheckpointError
from rasa_onramp.evaluation.metrics import Figures
from rasa_onramp.metalearning.lora import adapter_from_bytes
from rasa_onramp.store import Store
from rasa_onramp.tracker.model import StateTracker

__all__ = ["GOAL_TOLERANCE", "JGA_TOLERANCE", "Running", "running", "worse"]

#: By how much joint goal accuracy may fall. A value that is missed early makes all later states of
#: its dialogue wrong, so in the handful that are held out chance alone moves it as much.
JGA_TOLERANCE = 0.05

#: By how much average goal accuracy may fall, in which each value counts by itself.
GOAL_TOLERANCE = 0.02


@dataclass(frozen=True)
class Running:
    """What a domain runs on: `version` with its weights, or None and None, the checkpoint alone."""

    version: Optional[int]
    weights: Optional[Mapping[str, Tensor]]

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return "the checkpoint" if self.version is None else f"version {self.version}"

    def figures(self, measured: Figures) -> Dict[str, object]:
        """What is stored of it beside the new version."""
        return {"version": self.version, **measured.as_dict()}


def running(store: Store, tracker: StateTracker, domain: str) -> Optional[Running]:
    """What `domain` runs on with this tracker; None where its active version is damaged or for
    another checkpoint, as a bot abstains then. Raises NotFound, StoreError, StoreUnavailable.
    """
    try:
        active = store.adapters.active(domain)
        if active is None:
            return Running(None, None)
        if active.checkpoint_digest != tracker.digest:
            return None
        return Running(active.version, adapter_from_bytes(active.weights))
    except CheckpointError:
        return None


def worse(new: Figures, now: Figures) -> Optional[str]:
    """In which figure `new` is worse than `now`, None if it isn't.

    Joint goal accuracy decides; where that differs by no more than its tolerance, or isn't defined,
    average goal accuracy does.
    """
    for name, key, tolerance in (
        ("JGA", "jga", JGA_TOLERANCE),
        ("average goal accuracy", "average_goal_accuracy", GOAL_TOLERANCE),
    ):
        made, had = getattr(new, key), getattr(now, key)
        if made < had - tolerance:
            return f"{name} {made:.3f} instead of {had:.3f}"
        if made > had + tolerance:
            return None
    return None
