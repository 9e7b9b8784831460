"""Users who mistype, and users who write in one case.

The typos are slips of the finger: a letter becomes a neighbour of its key. Meta-training's own
noise (metalearning/noise.py) swaps, drops and doubles letters, so it never saw these.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Callable, Dict, List, Tuple

from rasa_onramp.dialogue import Dialogue, Span, Turn
from rasa_onramp.metalearning.noise import rewritten

__all__ = ["NEIGHBOURS", "mistyped", "recased"]

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_WORD = re.compile(r"[A-Za-z]{3,}")
#: Marks what a text must keep though no slot is marked there; no slot is called so.
_KEPT = ""


def _neighbours() -> Dict[str, str]:
    """The letters around each key: each row is shifted by half a key against the one above."""
    found: Dict[str, str] = {}
    for row, keys in enumerate(_ROWS):
        for column, key in enumerate(keys):
            places = [(row, column - 1), (row, column + 1)]
            places += [(row - 1, column), (row - 1, column + 1)]
            places += [(row + 1, column - 1), (row + 1, column)]
            found[key] = "".join(
                _ROWS[r][c] for r, c in places if 0 <= r < len(_ROWS) and 0 <= c < len(_ROWS[r])
            )
    return found


NEIGHBOURS = _neighbours()


def mistyped(
    dialogue: Dialogue, rng: random.Random, rate: float, *, values: bool = False
) -> Dialogue:
    """The dialogue with one letter wrong in a share `rate` of the words that its user types.

    The values that the state holds stay whole where the user says them, so that the state is still
    what the text says. With `values` they are mistyped like the rest: marks then stand on the
    mistyped text, and the state stays what the user meant. The words mistyped at a low rate are
    also at a higher one, with the same draws.
    """

    def typed(text: str) -> str:
        return _WORD.sub(lambda match: _typed(match.group(), rng, rate), text)

    def value(slot: str, text: str) -> str:
        mistake = typed(text)  # drawn in any case
        return mistake if values else text

    return _users(dialogue, lambda turn: _with_values_kept(turn, typed, value))


def recased(dialogue: Dialogue, case: Callable[[str], str]) -> Dialogue:
    """The dialogue with its user's turns in another `case` (str.lower, str.upper), marks and all.

    Letters whose other case is longer (ß) stay, so that every mark stays in place.
    """

    def cased(turn: Turn) -> Turn:
        text = "".join(case(c) if len(case(c)) == 1 else c for c in turn.text)
        return replace(turn, text=text)

    return _users(dialogue, cased)


def _users(dialogue: Dialogue, change: Callable[[Turn], Turn]) -> Dialogue:
    turns = tuple(change(turn) if turn.is_user else turn for turn in dialogue.turns)
    return replace(dialogue, turns=turns)


def _with_values_kept(
    turn: Turn, carrier: Callable[[str], str], value: Callable[[str, str], str]
) -> Turn:
    """`rewritten`, the state's values counted as marked wherever the text has them."""
    marked = replace(turn, spans=(*turn.spans, *_unmarked(turn)))
    done = rewritten(marked, carrier, value)
    return replace(done, spans=tuple(span for span in done.spans if span.slot != _KEPT))


def _unmarked(turn: Turn) -> Tuple[Span, ...]:
    """Where the text has a value of the state that isn't marked; longer values first."""
    values = [v for each in turn.state.values.values() for v in each] if turn.state else []
    taken = [(span.start, span.end) for span in turn.spans]
    found: List[Span] = []
    for text in sorted(set(values), key=lambda v: (-len(v), v)):
        for match in re.finditer(rf"(?<!\w){re.escape(text)}(?!\w)", turn.text, re.IGNORECASE):
            if all(match.end() <= start or end <= match.start() for start, end in taken):
                taken.append(match.span())
                found.append(Span(_KEPT, *match.span()))
    return tuple(found)


def _typed(word: str, rng: random.Random, rate: float) -> str:
    # as many draws for a word that stays whole as for another
    chance, place, which = rng.random(), rng.random(), rng.random()
    if chance >= rate:
        return word
    at = int(place * len(word))
    key = word[at]
    around = NEIGHBOURS[key.lower()]
    other = around[int(which * len(around))]
    return word[:at] + (other.upper() if key.isupper() else other) + word[at + 1 :]
