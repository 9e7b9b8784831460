"""Long dialogues cut into pieces that fit the encoder."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Turn
from rasa_onramp.tracker.tokens import MOST_TOKENS, Tokens

__all__ = ["MAX_POSITIONS", "OVERLAP", "utterance_limit", "windows"]

#: Positions of the encoder that are used; schema and utterances share them, a turn's queries sit on
#: its end.
MAX_POSITIONS = 512
#: Utterances that a later window of a long dialogue repeats from the one before.
OVERLAP = 6


def utterance_limit(schema_length: int) -> int:
    """How many tokens of an utterance are read after a schema of `schema_length` tokens: all that
    are split off, where the schema leaves room for them.
    """
    return min(MOST_TOKENS, MAX_POSITIONS - schema_length - 1)


def windows(
    tokens: Tokens, schema_length: int, turns: Sequence[Turn], history: Optional[int] = None
) -> List[Tuple[int, int, int]]:
    """Cut a dialogue into windows that fit the encoder.

    Returns (first, asked_from, end) turn indices: a window reads turns [first, end) and is asked
    about the user turns in [asked_from, end). Most dialogues need one. With `history` a user turn
    has a window of its own, of that many utterances at most, its own counted.
    """
    if history is not None:
        return [
            (*_ending_at(tokens, schema_length, turns, i, history), i + 1)
            for i, turn in enumerate(turns)
            if turn.is_user
        ]
    budget, longest = MAX_POSITIONS - schema_length, utterance_limit(schema_length)
    lengths = [1 + len(tokens.encode(turn.text, longest)[0]) for turn in turns]
    cuts: List[Tuple[int, int, int]] = []
    first = asked_from = 0
    while asked_from < len(turns):
        used, end = sum(lengths[first:asked_from]), asked_from
        while end < len(turns) and used + lengths[end] <= budget:
            used += lengths[end]
            end += 1
        if end == asked_from:  # the overlap leaves no room: drop its oldest turn
            first += 1
            continue
        cuts.append((first, asked_from, end))
        asked_from = end
        first = max(first + 1, end - OVERLAP)
    return cuts


def _ending_at(
    tokens: Tokens, schema_length: int, turns: Sequence[Turn], index: int, history: int
) -> Tuple[int, int]:
    """(first, asked_from) of the window that ends with turn `index` and is asked about it only."""
    start = max(0, index + 1 - history)
    first, _, _ = windows(tokens, schema_length, turns[start : index + 1])[-1]
    return start + first, index
