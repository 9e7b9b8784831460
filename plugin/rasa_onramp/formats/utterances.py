"""From what a log holds to a dialogue's turns: the user first, and never twice in a row."""

from __future__ import annotations

from itertools import groupby
from typing import Iterable, List, Tuple

from rasa_onramp.dialogue import Turn, joined

__all__ = ["as_turns"]


def as_turns(utterances: Iterable[Turn]) -> Tuple[Turn, ...]:
    """`utterances` as turns: neighbours of one speaker become one, as a running bot takes them.

    What the system says before the user's first word is left out: it answers nothing.
    """
    runs = groupby(utterances, key=lambda utterance: utterance.speaker)
    turns = tuple(_as_one(list(run)) for _, run in runs)
    return turns if not turns or turns[0].is_user else turns[1:]


def _as_one(run: List[Turn]) -> Turn:
    """By halves: one after the other would copy what is there for each that comes."""
    if len(run) == 1:
        return run[0]
    half = len(run) // 2
    return joined(_as_one(run[:half]), _as_one(run[half:]))
