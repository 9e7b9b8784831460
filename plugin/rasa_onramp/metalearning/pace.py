"""How fast a bot's replies are to be learned."""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

import numpy

from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.repetition import keeps_wording

__all__ = ["pace"]


def pace(dialogues: Sequence[Packed], scale: float) -> float:
    """How many times as fast a bot is learned that has said this: `scale` times where it keeps to
    its wording, once where it says nothing twice, and in proportion in between.
    """
    return 1 + (scale - 1) * keeps_wording([tuple(_replies(dialogue)) for dialogue in dialogues])


def _replies(dialogue: Packed) -> Iterator[Tuple[int, ...]]:
    """Each run of learned tokens."""
    edges = numpy.flatnonzero(numpy.diff(dialogue.learned.astype(int), prepend=0, append=0))
    for start, end in edges.reshape(-1, 2):
        yield tuple(dialogue.ids[start:end].tolist())
