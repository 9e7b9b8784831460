"""What people say to bots in general: the yardstick by which a domain's likenesses are measured.

Sentence embeddings share a large common direction; taking the mean of many utterances away leaves
what they differ in (Mu and Viswanath 2018, "All-but-the-top"). And "0.4 alike" means one thing for
a domain about parcels and another for one about travel, so likenesses are counted in standard
deviations above those of the background's utterances to the same domain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Optional

from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.errors import CheckpointError
from rasa_onramp.metalearning.metric.checkpoint import Metric
from rasa_onramp.runtime.words import FEATURES, Vocabulary, Words

__all__ = ["SHIPPED", "Background", "Heard", "load_background"]

#: Made by bench/router_background.py; see checkpoints/router.md.
SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints" / "router.safetensors"


@dataclass(frozen=True)
class Heard:
    """A message as domains are compared with it: its centred embedding, `row` (dimensions,), and
    its words.
    """

    row: Tensor
    words: Words

    @cached_property
    def said(self) -> Tensor:
        """The words' whole vector, (FEATURES,)."""
        return self.words.vector()


@dataclass(frozen=True)
class Background:
    """`mean` (dimensions,) of utterances' embeddings, and `centres` (count, dimensions): clusters
    of them, centred and normalised; and what words tell. With a `projection` (dimensions,
    dimensions), both of the former are seen in the space of a learned metric.
    """

    mean: Tensor
    centres: Tensor
    vocabulary: Vocabulary
    projection: Optional[Tensor] = None

    def heard(self, text: str, embedding: Tensor) -> Heard:
        """A message with its embedding, (dimensions,)."""
        return Heard(self.centred(embedding[None])[0], self.vocabulary.words([text]))

    def centred(self, rows: Tensor) -> Tensor:
        """Embeddings (texts, dimensions) without what all have in common, normalised again."""
        rows = rows - self.mean
        return F.normalize(rows if self.projection is None else rows @ self.projection.T, dim=-1)

    def seen_by(self, metric: Metric) -> Background:
        """The background in a metric's space. Raises CheckpointError if it is of another size."""
        if metric.mean.shape != self.mean.shape:
            raise CheckpointError(
                f"the metric is of embeddings with {len(metric.mean)} dimensions, but the router's "
                f"background has {len(self.mean)}; train it with all-MiniLM-L6-v2"
            )
        # the map is linear: a cluster's centre is mapped to the centre of what it maps to
        centres = F.normalize(self.centres @ metric.projection.T, dim=-1)
        return replace(self, mean=metric.mean, centres=centres, projection=metric.projection)


def load_background(path: Path = SHIPPED) -> Background:
    """Read a background file. Raises CheckpointError."""
    try:
        tensors = load_file(str(path))
        mean, centres = tensors["mean"].float(), tensors["centres"].float()
        of = tensors["words.of"].long()
        vocabulary = Vocabulary(
            tensors["words.idf"].float().reshape(FEATURES),
            tensors["words.features"].long(),
            tensors["words.weights"].float(),
            of,
            int(of[-1]) + 1,
        )
    except Exception as error:
        raise CheckpointError(f"{path} can't be read ({error}); reinstall rasa-onramp") from None
    return Background(mean, F.normalize(centres, dim=-1), vocabulary)
