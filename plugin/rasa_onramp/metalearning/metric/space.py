"""The space that metric-based methods learn: a linear map of frozen sentence embeddings.

    g(e) = W (e − μ) / |W (e − μ)|,   W = I + Δ

μ is the mean of many utterances. Δ starts at zero, so an untrained space is that of the centred
embeddings, and it costs one product of a vector with a matrix a text.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.metalearning.metric.episodes import MetricEpisode

__all__ = ["Space"]


class Space:
    """What is learned: Δ, (dimensions, dimensions); a scale, as its logarithm, by which likenesses
    become logits; and the threshold at which a text is as likely of no class as of one.
    """

    def __init__(self, mean: Tensor, *, scale: float, threshold: float):
        self.mean = mean
        self.delta = torch.zeros(len(mean), len(mean), requires_grad=True)
        self.log_scale = torch.tensor(scale).log().requires_grad_(True)
        self.threshold = torch.tensor(threshold, requires_grad=True)

    @property
    def projection(self) -> Tensor:
        """W, (dimensions, dimensions)."""
        return torch.eye(len(self.mean)) + self.delta

    def __call__(self, rows: Tensor) -> Tensor:
        """Embeddings (texts, dimensions) in the space, of length 1."""
        return F.normalize((rows - self.mean) @ self.projection.T, dim=-1)

    def mapped(self, episode: MetricEpisode) -> MetricEpisode:
        """The episode with its embeddings in the space."""
        return replace(episode, support=self(episode.support), queries=self(episode.queries))
