"""Sentence embeddings for the runtime: the same text is embedded once."""

from __future__ import annotations

from sys import getsizeof
from typing import Callable, List, Sequence

import torch
from torch import Tensor

from rasa_onramp.memory import MEGABYTE, LastUsed
from rasa_onramp.metalearning.metric.checkpoint import Metric

__all__ = ["CachedEmbed", "Embed", "embedded_by"]

#: Texts → L2-normalised rows (texts, dimensions).
Embed = Callable[[Sequence[str]], Tensor]


class CachedEmbed:
    """An `Embed` that keeps the rows of the texts used last, up to `limit` bytes. Thread-safe."""

    def __init__(self, embed: Embed, limit: int = 8 * MEGABYTE):
        self._embed = embed
        self._rows: LastUsed[str, Tensor] = LastUsed(limit)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        if not texts:
            return self._embed(texts)
        found = {text: self._rows.get(text) for text in texts}
        known = {text: row for text, row in found.items() if row is not None}
        new: List[str] = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            # a copy each: a row that is a view would keep all the others in memory
            for text, row in zip(new, self._embed(new)):
                known[text] = row.clone()
                self._rows.put(text, known[text], getsizeof(text) + row.nbytes)
        return torch.stack([known[text] for text in texts])


def embedded_by(metric: Metric, embed: Embed) -> Embed:
    """`embed`, and then into the space of a learned metric."""
    return lambda texts: metric(embed(texts))
