"""Siamese networks (Koch et al. 2015, https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf), scored
as relations are (Sung et al. 2018, https://arxiv.org/abs/1711.06025).

Two texts, mapped by the same weights, are of one class with a probability that their likeness gives

    p(x, x_i) = σ(s (cos(x, x_i) − t))

learned by cross-entropy over pairs of a query and a shown example. Pairs of two classes are many
more than pairs of one, so each kind has half of the weight. A query is of the class of its
likeliest pair, or of none if that is below a half. Koch et al. weigh the coordinates' differences
and Sung et al. train a small network on both texts; here likeness stays a cosine, which retrieval
can look up by one matrix product, and what they learn is in the space.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.metalearning.metric.episodes import MetricEpisode

__all__ = ["START", "logits", "loss"]

#: The scale and the cosine to begin with.
START = (10.0, 0.5)


def logits(episode: MetricEpisode, scale: Tensor, threshold: Tensor) -> Tensor:
    """Of each query to each class and, last, to none: (asked, ways + 1)."""
    pairs = _pairs(episode, scale, threshold)
    places = episode.labels.expand(len(pairs), -1)
    best = pairs.new_full((len(pairs), episode.ways), -torch.inf)
    best = best.scatter_reduce(1, places, pairs, "amax")
    return torch.cat([best, best.new_zeros(len(pairs), 1)], 1)


def loss(episode: MetricEpisode, scale: Tensor, threshold: Tensor) -> Tensor:
    """Cross-entropy over pairs, half of it those of one class."""
    pairs = _pairs(episode, scale, threshold)
    same = episode.wanted[:, None] == episode.labels[None]
    each = F.binary_cross_entropy_with_logits(pairs, same.to(pairs.dtype), reduction="none")
    return 0.5 * (each[same].mean() + each[~same].mean())


def _pairs(episode: MetricEpisode, scale: Tensor, threshold: Tensor) -> Tensor:
    """Logits of each query and shown example being of one class, (asked, shown)."""
    return scale * (episode.queries @ episode.support.T - threshold)
