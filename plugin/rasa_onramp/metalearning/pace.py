"""How fast a bot's replies are to be learned."""

from __future__ import annotations

from typing import Sequence

from rasa_onramp.generator.packing import Packed, reply_spans
from rasa_onramp.generator.repetition import keeps_wording

__all__ = ["pace"]


def pace(dialogues: Sequence[Packed], scale: float) -> float:
    """Factor on the inner rates: `scale` for a bot with fixed wording, 1 for one that never repeats
    itself, linear in between.
    """
    said = [
        [tuple(dialogue.ids[start:end].tolist()) for start, end in reply_spans(dialogue)]
        for dialogue in dialogues
    ]
    return 1 + (scale - 1) * keeps_wording(said)
