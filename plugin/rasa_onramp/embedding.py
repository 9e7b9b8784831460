"""Sentence embeddings as all parts take them: texts in, rows out; a text is embedded once."""

from __future__ import annotations

from sys import getsizeof
from typing import Callable, List, Sequence

import torch
from torch import Tensor

from rasa_onramp.memory import MEGABYTE, LastUsed

__all__ = ["WHOLE_CORPUS", "CachedEmbed", "Embed"]

#: Texts → L2-normalised rows (texts, dimensions).
Embed = Callable[[Sequence[str]], Tensor]

#: A limit for `CachedEmbed` that holds each text of a corpus, SGD's and more.
WHOLE_CORPUS = 2048 * MEGABYTE


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
