"""Which words a domain uses, and how like a message's are: TF-IDF (Salton and Buckley 1988).

Sentence embeddings say what a message is about. That it is about "carbon brushes", which only one
of fifty shops sells, its words say. What a word tells (its inverse document frequency) is counted
over the background's domains, never over those that are onboarded: no domain's likenesses change
when another is added.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import List, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["FEATURES", "Vocabulary", "WordIndex", "WordStack", "Words", "counted"]

#: Words are hashed into so many features: some share one, which costs nothing that shows.
FEATURES = 2**15

_WORD = re.compile(r"\b\w\w+\b")

#: Of a domain's words so many are looked up among many domains; the others hardly count.
_HEAVIEST = 128

#: Deviations beyond which one more word in common tells no more.
_MOST = 8.0


@dataclass(frozen=True)
class Words:
    """Of a text, or of all that is said in a domain: features (n,), and their weights (n,), which
    are a vector of unit length; nothing if it has no words.
    """

    features: Tensor
    weights: Tensor

    def vector(self) -> Tensor:
        """The whole vector, (FEATURES,)."""
        return self.weights.new_zeros(FEATURES).index_copy_(0, self.features, self.weights)

    @cached_property
    def heaviest(self) -> Words:
        """`_HEAVIEST` of them at most."""
        kept = self.weights.topk(min(_HEAVIEST, len(self.weights)))
        return Words(self.features[kept.indices], kept.values)


def counted(text: str) -> Tuple[Tensor, Tensor]:
    """The features of a text's words, in lower case and of two characters or more (n,), and how
    often each occurs (n,).
    """
    counts = Counter(
        zlib.crc32(word.encode("utf-8", "replace")) % FEATURES
        for word in _WORD.findall(text.lower())
    )
    features = torch.tensor(list(counts), dtype=torch.long)
    return features, torch.tensor(list(counts.values()), dtype=torch.float)


@dataclass(frozen=True)
class Vocabulary:
    """What words tell: `idf` (FEATURES,); and the words of the background's messages one after the
    other, `features` and `weights` (all,), each of the message `of` (all,), of `messages`.
    """

    idf: Tensor
    features: Tensor
    weights: Tensor
    of: Tensor
    messages: int

    def words(self, texts: Sequence[str]) -> Words:
        """Of all texts together: (1 + ln count) · idf, normalised."""
        features, counts = counted(" ".join(texts))
        return Words(features, F.normalize((1 + counts.log()) * self.idf[features], dim=0))

    def usual(self, words: Words) -> Tuple[float, float]:
        """Mean and standard deviation of the background's messages' cosines with `words`."""
        shared = words.vector()[self.features] * self.weights
        found = shared.new_zeros(self.messages).index_add_(0, self.of, shared)
        return float(found.mean()), max(float(found.std()), 1e-3)


class WordStack:
    """Several domains' words at once."""

    def __init__(self, words: Sequence[Words], usual: Sequence[Tuple[float, float]]):
        self._features = torch.cat([each.features for each in words])
        self._weights = torch.cat([each.weights for each in words])
        lengths = torch.tensor([len(each.features) for each in words])
        self._of = torch.repeat_interleave(torch.arange(len(words)), lengths)
        self._mean, self._spread = torch.tensor(usual).unbind(1)

    def deviations(self, said: Tensor) -> Tensor:
        """How like a message's words (FEATURES,) are to each domain's, (domains,): in standard
        deviations above those of the background's messages, `_MOST` at most.
        """
        shared = said[self._features] * self._weights
        found = torch.zeros_like(self._mean).index_add_(0, self._of, shared)
        return ((found - self._mean) / self._spread).clamp(max=_MOST)


class WordIndex:
    """Finds the domains whose words are likest without comparing with all: an inverted index of
    each one's heaviest words.
    """

    def __init__(self, words: Sequence[Words], usual: Sequence[Tuple[float, float]]):
        self._count = len(words)
        kept = [each.heaviest for each in words]
        features = torch.cat([each.features for each in kept])
        weights = torch.cat([each.weights / spread for each, (_, spread) in zip(kept, usual)])
        lengths = torch.tensor([len(each.features) for each in kept])
        of = torch.repeat_interleave(torch.arange(self._count), lengths)
        order = features.argsort()
        self._of, self._weights = of[order], weights[order]
        self._begins = [0, *torch.bincount(features, minlength=FEATURES).cumsum(0).tolist()]

    def of(self, words: Words, count: int) -> List[int]:
        """The numbers of up to `count` domains that share words with `words`, the likest first."""
        found = torch.zeros(self._count)
        for feature, weight in zip(words.features.tolist(), words.weights.tolist()):
            here = slice(self._begins[feature], self._begins[feature + 1])
            found.index_add_(0, self._of[here], weight * self._weights[here])
        best = found.topk(min(count, self._count))
        return best.indices[best.values > 0].tolist()
