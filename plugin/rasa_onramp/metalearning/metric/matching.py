"""Matching networks (Vinyals et al. 2016, https://arxiv.org/abs/1606.04080).

A query attends to every shown example x_i by its cosine, and is of class k with the attention that
goes to class k's examples:

    p(k | x) = Σ_i a(x, x_i) [y_i = k],   a(x, x_i) ∝ exp(s cos(x, x_i))

Ours may be of no class: attention also goes to one more example, of none, at the cosine t. s and t
are learned with the space, by cross-entropy. Of the paper's two embeddings we have the plain one,
without full context: a text's place doesn't depend on the other texts of the episode, so a domain
that is added moves no other.
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
    attention = scale * (episode.queries @ episode.support.T)
    of_class = episode.labels[None] == torch.arange(episode.ways)[:, None]
    hidden = attention[:, None].masked_fill(~of_class[None], -torch.inf)
    none = (scale * threshold).expand(len(attention), 1)
    return torch.cat([hidden.logsumexp(2), none], 1)


def loss(episode: MetricEpisode, scale: Tensor, threshold: Tensor) -> Tensor:
    """Cross-entropy of the queries' classes."""
    return F.cross_entropy(logits(episode, scale, threshold), episode.wanted)
