"""Sentence embeddings for the runtime: the same text is embedded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Callable, List, Sequence

import torch
from torch import Tensor

from rasa_onramp.metalearning.metric.checkpoint import Metric

__all__ = ["CachedEmbed", "Embed", "embedded_by"]

#: Texts → L2-normalised rows (texts, dimensions).
Embed = Callable[[Sequence[str]], Tensor]


class CachedEmbed:
    """An `Embed` that keeps the rows of the `size` texts used last. Thread-safe."""

    def __init__(self, embed: Embed, size: int = 2048):
        self._embed = embed
        self._size = size
        self._rows: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        if not texts:
            return self._embed(texts)
        with self._lock:
            known = {text: self._rows[text] for text in texts if text in self._rows}
        new: List[str] = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            # a copy each: a row that is a view would keep all the others in memory
            known.update((text, row.clone()) for text, row in zip(new, self._embed(new)))
        with self._lock:
            for text in texts:
                self._rows[text] = known[text]
                self._rows.move_to_end(text)
            while len(self._rows) > self._size:
                self._rows.popitem(last=False)
        return torch.stack([known[text] for text in texts])


def embedded_by(metric: Metric, embed: Embed) -> Embed:
    """`embed`, and then into the space of a learned metric."""
    return lambda texts: metric(embed(texts))
