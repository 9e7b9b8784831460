"""Learned metrics on disk: half-precision safetensors, and a config with the digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Tuple, Union

from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.checkpoint_files import read_checkpoint, write_checkpoint
from rasa_onramp.embedding import Embed
from rasa_onramp.errors import CheckpointError

__all__ = ["Metric", "load_metric", "save_metric"]

_NAME = "metric"


@dataclass(frozen=True)
class Metric:
    """A space as it is served: `mean` (dimensions,) and `projection` (dimensions, dimensions) of
    sentence embeddings.

    `scale` and `threshold` are what its `method` learned beside it to make logits with; serving
    reads neither. `purpose` is what it was trained to tell apart, "domains" or "replies";
    `training_services` are those it was trained on; `card` says how.
    """

    mean: Tensor
    projection: Tensor
    scale: float
    threshold: float
    method: str
    purpose: str
    training_services: Tuple[str, ...] = ()
    card: Dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    def __call__(self, rows: Tensor) -> Tensor:
        """Embeddings (texts, dimensions) in the space, of length 1."""
        return F.normalize((rows - self.mean) @ self.projection.T, dim=-1)

    def after(self, embed: Embed) -> Embed:
        """`embed`, and then into the space."""
        return lambda texts: self(embed(texts))


def save_metric(metric: Metric, folder: Union[str, Path]) -> str:
    """Write a metric to `folder` as float16; returns its digest (sha256 of the weights' file)."""
    config = {
        "method": metric.method,
        "purpose": metric.purpose,
        "scale": metric.scale,
        "threshold": metric.threshold,
        "training_services": list(metric.training_services),
        "card": metric.card,
    }
    parts = {"space": {"mean": metric.mean, "projection": metric.projection}}
    return write_checkpoint(Path(folder), _NAME, parts, config)


def load_metric(folder: Union[str, Path], purpose: str) -> Metric:
    """Read a metric for `purpose` and verify its digest.

    Raises CheckpointError if files are missing, truncated, not what the digest says or of a metric
    for something else.
    """
    folder = Path(folder)
    mend = "give a folder written by meta-train --algorithm prototypical, matching or siamese"
    wanted = {"method": str, "purpose": str, "scale": float, "threshold": float}
    config, parts = read_checkpoint(folder, _NAME, wanted, mend)
    if config["purpose"] != purpose:
        raise CheckpointError(
            f"{folder} is a metric for {config['purpose']}, not for {purpose}; {mend} "
            f"--for {purpose}"
        )
    tensors = parts.get("space", {})
    mean, projection = tensors.get("mean"), tensors.get("projection")
    if mean is None or projection is None or projection.shape != (len(mean), len(mean)):
        raise CheckpointError(f"{folder}: mean and projection don't fit each other; {mend}")
    return Metric(
        mean,
        projection,
        config["scale"],
        config["threshold"],
        config["method"],
        purpose,
        tuple(config.get("training_services", ())),
        dict(config.get("card", {})),
        config["sha256"],
    )
