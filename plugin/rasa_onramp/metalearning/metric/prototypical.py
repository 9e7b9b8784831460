"""Prototypical networks (Snell et al. 2017, https://arxiv.org/abs/1703.05175).

A class k is the mean of its shown examples, its prototype c_k, and a query is of class k with

    p(k | x) ∝ exp(−s |x − c_k|²)

The paper's queries are all of some class. Ours may be of none, which counts as one more class at a
squared distance r from everything: s and r are learned with the space, by cross-entropy.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.metalearning.metric.episodes import MetricEpisode

__all__ = ["START", "logits", "loss", "prototypes"]

#: The scale and the squared distance to begin with.
START = (10.0, 1.2)


def prototypes(rows: Tensor, labels: Tensor, ways: int) -> Tensor:
    """The mean of each class's rows, (ways, dimensions)."""
    sums = rows.new_zeros(ways, rows.shape[1]).index_add(0, labels, rows)
    return sums / torch.bincount(labels, minlength=ways).clamp(min=1)[:, None]


def logits(episode: MetricEpisode, scale: Tensor, threshold: Tensor) -> Tensor:
    """Of each query to each class and, last, to none: (asked, ways + 1)."""
    centres = prototypes(episode.support, episode.labels, episode.ways)
    distances = torch.cdist(
        episode.queries, centres, compute_mode="donot_use_mm_for_euclid_dist"
    ).square()
    none = threshold.expand(len(distances), 1)
    return -scale * torch.cat([distances, none], 1)


def loss(episode: MetricEpisode, scale: Tensor, threshold: Tensor) -> Tensor:
    """Cross-entropy of the queries' classes."""
    return F.cross_entropy(logits(episode, scale, threshold), episode.wanted)
