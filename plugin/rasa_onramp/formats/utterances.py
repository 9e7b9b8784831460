"""From what a log holds to a dialogue's turns: the user first, and never twice in a row."""

from __future__ import annotations

from typing import Iterable, List, Tuple

from rasa_onramp.dialogue import Turn, joined

__all__ = ["as_turns"]


def as_turns(utterances: Iterable[Turn]) -> Tuple[Turn, ...]:
    """`utterances` as turns: neighbours of one speaker become one, as a running bot takes them.

    What the system says before the user's first word is left out: it answers nothing.
    """
    turns: List[Turn] = []
    for utterance in utterances:
        if turns and turns[-1].speaker == utterance.speaker:
            turns.append(joined(turns.pop(), utterance))
        elif turns or utterance.is_user:
            turns.append(utterance)
    return tuple(turns)
