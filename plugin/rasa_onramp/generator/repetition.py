"""How far a bot keeps to its wording."""

from __future__ import annotations

from typing import Dict, Hashable, List, Sequence, Set

__all__ = ["keeps_wording", "repetition"]

#: From this share of replies that come again on, a bot counts as one that keeps to its wording.
_KEEPS = 0.2


def repetition(dialogues: Sequence[Sequence[Hashable]]) -> float:
    """The share of all replies, values as placeholders, that stand in another of the dialogues too;
    0 without any.
    """
    where: Dict[Hashable, Set[int]] = {}
    replies: List[Hashable] = []
    for number, dialogue in enumerate(dialogues):
        for reply in dialogue:
            where.setdefault(reply, set()).add(number)
            replies.append(reply)
    return sum(len(where[reply]) > 1 for reply in replies) / max(1, len(replies))


def keeps_wording(dialogues: Sequence[Sequence[Hashable]]) -> float:
    """From 0 for a bot that says nothing twice to 1 for one that keeps to its wording."""
    return min(1.0, repetition(dialogues) / _KEEPS)
