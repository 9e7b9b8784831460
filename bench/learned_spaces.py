"""--metric of the benches: learned spaces beside the embeddings as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.metric.checkpoint import Metric, load_metric

__all__ = ["PLAIN", "cards", "load_metrics"]

#: What is measured beside learned spaces.
PLAIN = "embeddings as they are"


def load_metrics(folders: Sequence[Path], purpose: str) -> Dict[str, Metric]:
    """The metrics by method. Raises CheckpointError, and ConfigError for two of one method."""
    found: Dict[str, Metric] = {}
    for folder in folders:
        metric = load_metric(folder, purpose)
        if metric.method in found:
            raise ConfigError(f"--metric: two are {metric.method}; measure them one by one")
        found[metric.method] = metric
    return found


def cards(metrics: Mapping[str, Metric]) -> Dict[str, Any]:
    """What tells them from others, for the settings of a file of figures."""
    return {name: {"digest": metric.digest, **metric.card} for name, metric in metrics.items()}
