"""The domains that are worth comparing a message with, found without comparing it with all.

Each domain has two vectors, one for each likeness, whose product with a message stands in for the
likeness itself. Up to some thousands of domains one product of matrices finds the best. Where there
are more, they are grouped by k-means (the inverted file of Jégou et al. 2011, "Product quantization
for nearest neighbor search"): only the groups whose mean scores best are looked into, √N groups of
about √N domains.
"""

from __future__ import annotations

import math
from typing import List, Optional

import torch
from torch import Tensor

__all__ = ["GROUPED_FROM", "Shortlist"]

#: From how many domains on groups are faster than one product (bench/routing_scale.py measures it).
GROUPED_FROM = 16384

#: Domains found for each likeness, and groups looked into for each.
_KEPT, _PROBED = 64, 40

_ROUNDS = 6  # of k-means; more change little
_SAMPLE = 64  # domains a group that k-means sees


class Shortlist:
    """Finds domains by number. `vectors` is (domains, 2, dimensions).

    Groups are found once: a `before` of up to half as many domains, or twice as many, lends its
    own.
    """

    def __init__(
        self,
        vectors: Tensor,
        before: Optional[Shortlist] = None,
        *,
        grouped_from: int = GROUPED_FROM,
    ):
        self._centres: Optional[Tensor] = None
        if len(vectors) < grouped_from:
            self._vectors = vectors.transpose(0, 1).contiguous()
            return
        flat = vectors.flatten(1)
        known = None if before is None else before._centres
        wanted = round(math.sqrt(len(vectors)))
        if known is not None and wanted / 1.5 < len(known) < wanted * 1.5:
            centres = known
        else:
            centres = _centres(flat, wanted)
        group = _nearest(flat, centres)
        #: Domains one group after the other, and where each group begins.
        self._order = group.argsort(stable=True)
        sizes = torch.bincount(group, minlength=len(centres))
        self._begins = [0, *sizes.cumsum(0).tolist()]
        self._vectors = vectors[self._order].transpose(0, 1).contiguous()
        self._centres = centres

    def of(self, row: Tensor) -> List[int]:
        """The numbers of the domains nearest to a message, (dimensions,), by either likeness."""
        found = {number: None for kind in (0, 1) for number in self._best(row, kind)}
        return list(found)

    def _best(self, row: Tensor, kind: int) -> List[int]:
        vectors = self._vectors[kind]
        if self._centres is None:
            return (vectors @ row).topk(min(_KEPT, len(vectors))).indices.tolist()
        width = len(row)
        means = self._centres[:, kind * width : (kind + 1) * width] @ row
        places, scores = [], []
        for group in means.topk(min(_PROBED, len(means))).indices.tolist():
            begin, end = self._begins[group], self._begins[group + 1]
            places.append(self._order[begin:end])
            scores.append(vectors[begin:end] @ row)
        joined, numbers = torch.cat(scores), torch.cat(places)
        return numbers[joined.topk(min(_KEPT, len(joined))).indices].tolist()


def _centres(rows: Tensor, count: int) -> Tensor:
    """The means of `count` groups of rows (k-means from rows drawn at random, always the same)."""
    draw = torch.Generator().manual_seed(0)
    sample = rows[torch.randperm(len(rows), generator=draw)[: count * _SAMPLE]]
    centres = sample[:count].clone()
    for _ in range(_ROUNDS):
        group = _nearest(sample, centres)
        sums = torch.zeros_like(centres).index_add_(0, group, sample)
        sizes = torch.bincount(group, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
    return centres


def _nearest(rows: Tensor, centres: Tensor) -> Tensor:
    """The number of the centre nearest to each row."""
    half = centres.square().sum(1) / 2
    parts = rows.split(16384)  # so that the products don't take more memory than the rows
    return torch.cat([(part @ centres.T - half).argmax(1) for part in parts])
