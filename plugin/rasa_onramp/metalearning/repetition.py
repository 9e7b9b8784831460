"""How far a bot keeps to its wording, which says how fast it is to be learned."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Set, Tuple

import numpy

from rasa_onramp.generator.packing import Packed

__all__ = ["pace", "repetition"]

#: From this share of replies that come again on, a bot counts as one that keeps to its wording.
_KEEPS = 0.2


def repetition(dialogues: Sequence[Packed]) -> float:
    """The share of all replies, values as placeholders, that stand in another of the dialogues too;
    0 without any.
    """
    where: Dict[Tuple[int, ...], Set[int]] = {}
    replies: List[Tuple[int, ...]] = []
    for number, dialogue in enumerate(dialogues):
        for reply in _replies(dialogue):
            where.setdefault(reply, set()).add(number)
            replies.append(reply)
    return sum(len(where[reply]) > 1 for reply in replies) / max(1, len(replies))


def pace(dialogues: Sequence[Packed], scale: float) -> float:
    """How many times as fast a bot is learned that has said this: `scale` times where it keeps to
    its wording, once where it says nothing twice, and in proportion in between.
    """
    return 1 + (scale - 1) * min(1.0, repetition(dialogues) / _KEEPS)


def _replies(dialogue: Packed) -> Iterator[Tuple[int, ...]]:
    """Each run of learned tokens."""
    edges = numpy.flatnonzero(numpy.diff(dialogue.learned.astype(int), prepend=0, append=0))
    for start, end in edges.reshape(-1, 2):
        yield tuple(dialogue.ids[start:end].tolist())
