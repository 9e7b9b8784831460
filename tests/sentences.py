"""The real sentence encoder, read once a process; what was embedded is kept."""

from __future__ import annotations

from functools import lru_cache

from rasa_onramp.embedding import CachedEmbed
from rasa_onramp.tracker.sentences import cached_sentences

__all__ = ["sentences"]


@lru_cache(maxsize=None)
def sentences() -> CachedEmbed:
    """Embeds as a bot does."""
    return cached_sentences()
