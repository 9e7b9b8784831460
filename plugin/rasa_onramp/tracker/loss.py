"""The tracker's loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.tracker.batch import Labels
from rasa_onramp.tracker.model import Scores

__all__ = ["tracking_loss"]


def tracking_loss(scores: Scores, labels: Labels) -> Tensor:
    """Mean over turns of the negative log-likelihood of all that the turn's queries should answer.

    Where several places are right (a value said twice), the likelihood is their sum (marginal
    likelihood; Clark & Gardner 2018 use it for the same in reading comprehension). Start and end
    count half each; requested slots add a binary cross-entropy. Returns a scalar.
    """
    start = _marginal(scores.start, labels.start)
    end = _marginal(scores.end, labels.end)
    requested = F.binary_cross_entropy_with_logits(
        scores.requested, labels.requested, reduction="none"
    )
    requested = (requested * labels.slot).sum()
    return ((start + end) / 2 + requested) / max(labels.turns, 1)


def _marginal(scores: Tensor, right: Tensor) -> Tensor:
    """Σ over queries of −log Σ p(right place); queries without a right place count nothing."""
    log_p = scores - torch.logsumexp(scores, dim=-1, keepdim=True)
    lowest = torch.finfo(log_p.dtype).min
    found = torch.logsumexp(log_p.masked_fill(~right, lowest), dim=-1)
    return -found.masked_fill(~right.any(-1), 0.0).sum()
