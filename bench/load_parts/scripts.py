"""What users say to the bot: hardly a message comes twice, so that no cache makes it look fast."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Callable, List, Sequence, Tuple

from rasa_onramp.dialogue import Dialogue, Turn
from rasa_onramp.formats import read
from robustness_parts.typos import mistyped

__all__ = ["Draw", "domain_talks", "own_talks"]

#: Draws the texts of one conversation.
Draw = Callable[[random.Random], List[str]]

_LETTERS = "abcdefghijklmnoprstuvwz"

#: The share of words that are mistyped.
_TYPOS = 0.1

#: The pizzeria's own conversations. Its form is left out: while one is active we do nothing.
_OWN: Tuple[Tuple[str, ...], ...] = (
    ("hello {}", "when are you open near {}", "thanks {}", "see you {}"),
    ("the pizza {} was cold", "yes please {}", "thank you {}", "goodbye {}"),
    ("good evening {}", "until when do you deliver in {}", "many thanks {}", "bye {}"),
    ("my pizza {} was burnt", "no thanks {}", "what are your opening hours in {}", "see you {}"),
)


def own_talks() -> Draw:
    """Conversations that are the bot's own business."""

    def draw(choose: random.Random) -> List[str]:
        said = choose.choice(_OWN)
        texts = [text.format("".join(choose.choices(_LETTERS, k=5))) for text in said]
        turns = tuple(Turn("user", text) for text in texts)
        return _texts(mistyped(Dialogue("own", "own", turns), choose, _TYPOS))

    return draw


def domain_talks(files: Sequence[Path]) -> Draw:
    """The user's side of the dialogues in `files`, their values whole."""
    known = [dialogue for path in files for dialogue in read(path).dialogues]
    return lambda choose: _texts(mistyped(choose.choice(known), choose, _TYPOS))


def _texts(dialogue: Dialogue) -> List[str]:
    return [turn.text for turn in dialogue.turns if turn.is_user]
