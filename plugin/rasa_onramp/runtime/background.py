"""What people say to bots in general: the yardstick by which a domain's likenesses are measured.

Sentence embeddings share a large common direction; taking the mean of many utterances away leaves
what they differ in (Mu and Viswanath 2018, "All-but-the-top"). And "0.4 alike" means one thing for
a domain about parcels and another for one about travel, so likenesses are counted in standard
deviations above those of the background's utterances to the same domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.errors import CheckpointError

__all__ = ["SHIPPED", "Background", "load_background"]

#: Made by bench/router_background.py; see checkpoints/router.md.
SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints" / "router.safetensors"


@dataclass(frozen=True)
class Background:
    """`mean` (dimensions,) of utterances' embeddings, and `centres` (count, dimensions): clusters
    of them, centred and normalised.
    """

    mean: Tensor
    centres: Tensor

    def centred(self, rows: Tensor) -> Tensor:
        """Embeddings (texts, dimensions) without what all have in common, normalised again."""
        return F.normalize(rows - self.mean, dim=-1)


def load_background(path: Path = SHIPPED) -> Background:
    """Read a background file. Raises CheckpointError."""
    try:
        tensors = load_file(str(path))
        mean, centres = tensors["mean"].float(), tensors["centres"].float()
    except Exception as error:
        raise CheckpointError(f"{path} can't be read ({error}); reinstall rasa-onramp") from None
    return Background(mean, F.normalize(centres, dim=-1))
