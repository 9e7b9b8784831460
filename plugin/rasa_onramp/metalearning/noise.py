"""Dialogues as people type them: lower case, typos, short forms; and values never seen before.

Written corpora are tidy and their values few. A tracker that has only met those reads neither
"id is E8802 pls hurry" nor a name it doesn't know. Marked values keep their marks.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Callable, Dict, Tuple

from rasa_onramp.dialogue import Dialogue, Schema, Span, State, Turn

__all__ = ["noisy", "rewritten", "with_new_values"]

_SHORT = {
    "you": "u",
    "your": "ur",
    "please": "pls",
    "thanks": "thx",
    "because": "cuz",
    "okay": "ok",
    "are": "r",
    "want to": "wanna",
    "going to": "gonna",
    "i would like": "i'd like",
    "can not": "cant",
    "with": "w/",
    "about": "abt",
    "something": "sth",
    "people": "ppl",
}
_WORD = re.compile(r"[A-Za-z]{4,}")
_SYLLABLES = (
    *("ba", "bel", "bor", "cha", "dan", "del", "dor", "el", "fen", "gar", "go", "hal", "hin", "is"),
    *("jo", "ka", "kel", "la", "lin", "lo", "mar", "mi", "mon", "na", "nor", "o", "pa", "per"),
    *("qui", "ra", "ren", "ri", "sa", "sel", "sho", "ta", "ter", "ti", "tur", "va", "ven", "ya"),
    "wick",
)
_CODES = (
    "LL####",
    "L####",
    "###-###",
    "LLL-####",
    "#####",
    "L#L#L#",
    "##/####",
    "LL ## ###",
    "llxx##",
)


def noisy(dialogue: Dialogue, rng: random.Random) -> Dialogue:
    """The dialogue with its user's turns typed carelessly, in one person's way throughout."""
    lower, bare, short = (rng.random() < chance for chance in (0.6, 0.5, 0.4))
    typos = rng.choice((0.0, 0.0, 0.02, 0.06))

    def carrier(text: str) -> str:
        if short:
            for long, brief in _SHORT.items():
                text = re.sub(rf"(?i)(?<!\w){long}(?!\w)", brief, text)
        if bare:
            text = re.sub(r"[,;]|[.!](?=\s|$)|(?<=\w)'(?=\w)", "", text)
        if typos:
            text = _WORD.sub(
                lambda m: _typo(m.group(), rng) if rng.random() < typos else m.group(), text
            )
        return text.lower() if lower else text

    def value(slot: str, text: str) -> str:
        return text.lower() if lower and len(text.lower()) == len(text) else text

    turns = (rewritten(t, carrier, value) if t.is_user else t for t in dialogue.turns)
    return replace(dialogue, turns=tuple(turns))


def with_new_values(dialogue: Dialogue, schema: Schema, rng: random.Random) -> Dialogue:
    """The dialogue with about half of its free slots' values replaced by codes and invented names.

    The same value becomes the same everywhere. Slots with equivalent spellings are left alone.
    """
    chosen = {s.name for s in schema.slots if not s.categorical and rng.random() < 0.5}
    for turn in dialogue.turns:
        if turn.state is not None:
            chosen -= {slot for slot, values in turn.state.values.items() if len(values) > 1}
    style = {slot: rng.random() < 0.5 for slot in sorted(chosen)}
    pattern = {slot: rng.choice(_CODES) for slot in sorted(chosen)}
    invented: Dict[Tuple[str, str], str] = {}

    def value(slot: str, text: str) -> str:
        if slot not in chosen:
            return text
        key = (slot, text.lower())
        if key not in invented:
            invented[key] = _code(pattern[slot], rng) if style[slot] else _name(rng)
        return invented[key]

    turns = [rewritten(turn, lambda text: text, value) for turn in dialogue.turns]
    done = []
    for turn in turns:
        if turn.state is not None:
            values = {
                slot: tuple(invented.get((slot, v.lower()), v) for v in given)
                for slot, given in turn.state.values.items()
            }
            state = State(values, turn.state.active_intent, turn.state.requested_slots)
            turn = replace(turn, state=state)
        done.append(turn)
    return replace(dialogue, turns=tuple(done))


def rewritten(turn: Turn, carrier: Callable[[str], str], value: Callable[[str, str], str]) -> Turn:
    """The turn with its text rewritten: marked values by `value`, told slot and text, the rest by
    `carrier`. Turns whose marks overlap are left alone.
    """
    marked = sorted(turn.spans, key=lambda s: (s.start, s.end))
    if any(first.end > second.start for first, second in zip(marked, marked[1:])):
        return turn
    text, spans, at = "", [], 0
    for span in marked:
        text += carrier(turn.text[at : span.start])
        start = len(text)
        text += value(span.slot, turn.text[span.start : span.end])
        spans.append(Span(span.slot, start, len(text)))
        at = span.end
    text += carrier(turn.text[at:])
    return replace(turn, text=text, spans=tuple(spans)) if text.strip() else turn


def _typo(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def _code(pattern: str, rng: random.Random) -> str:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    kinds = {"L": letters, "l": letters.lower(), "#": "0123456789", "x": "abcdef0123456789"}
    return "".join(rng.choice(kinds.get(sign, sign)) for sign in pattern)


def _name(rng: random.Random) -> str:
    words = (
        "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 3))).capitalize()
        for _ in range(rng.choice((1, 1, 2, 2, 3)))
    )
    return " ".join(words)
