"""Turns built of pieces, so that spans stay exact whatever noise the text gets."""

from __future__ import annotations

import random
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from spec import PLACE, Domain

__all__ = ["Chat", "Piece", "fill", "plain"]


class Piece(NamedTuple):
    """Part of a turn: words, or a value (`fixed`: no noise but lower case), of a slot if marked."""

    text: str
    slot: Optional[str] = None
    fixed: bool = False


def plain(text: str) -> List[Piece]:
    """Words."""
    return [Piece(text)] if text else []


def fill(template: str, give: Callable[[str, int], List[Piece]]) -> List[Piece]:
    """The template's pieces; `give` says what stands in a gap, by its name and number."""
    pieces: List[Piece] = []
    end = 0
    for match in PLACE.finditer(template):
        pieces += plain(template[end : match.start()])
        pieces += give(match.group(1), int(match.group(2) or 1))
        end = match.end()
    return pieces + plain(template[end:])


class Style(NamedTuple):
    """How a user types."""

    lower: float
    short: float
    drop: float
    typo: float
    neat: bool


_STYLES = (
    Style(lower=0.0, short=0.0, drop=0.1, typo=0.02, neat=True),
    Style(lower=0.1, short=0.05, drop=0.4, typo=0.05, neat=False),
    Style(lower=0.75, short=0.25, drop=0.7, typo=0.06, neat=False),
    Style(lower=0.95, short=0.6, drop=0.9, typo=0.12, neat=False),
)


class Chat:
    """A dialogue in the making: its turns in SGD's format, and the state."""

    def __init__(self, domain: Domain, rng: random.Random, short: Mapping[str, str]):
        self.domain = domain
        self.rng = rng
        self.style = rng.choices(_STYLES, [30, 25, 30, 15])[0]
        self.turns: List[Dict[str, Any]] = []
        self.values: Dict[str, List[str]] = {}
        self.intent: Optional[str] = None
        self.tracked = {s for i in domain.intents.values() for s in i.slots}
        self._short = short
        longest = sorted(short, key=len, reverse=True)
        self._shorten = re.compile(
            rf"(?<![\w'])({'|'.join(map(re.escape, longest))})(?![\w'])",
            re.IGNORECASE,
        )

    @property
    def user_turns(self) -> int:
        """How many turns the user had."""
        return sum(turn["speaker"] == "USER" for turn in self.turns)

    def user(
        self,
        pieces: Sequence[Piece],
        sets: Optional[Mapping[str, Sequence[str]]] = None,
        requested: Sequence[str] = (),
        outside: bool = False,
    ) -> None:
        """The user says `pieces`; marked ones set their slots, as `sets` does."""
        pieces = self._noise(list(pieces))
        new: Dict[str, List[str]] = {slot: list(v) for slot, v in (sets or {}).items()}
        for piece in pieces:
            if piece.slot is not None:
                new[piece.slot] = self._value(piece.slot, piece.text)
        for slot, value in new.items():
            old = self.values.get(slot)
            # Said again in other case: the state keeps what it had.
            if slot in self.tracked and (old is None or old[0].lower() != value[0].lower()):
                self.values[slot] = value
        text, spans = _join(pieces)
        frame: Dict[str, Any] = {
            "service": self.domain.name,
            "actions": [],
            "slots": spans,
            "state": {
                "active_intent": self.intent or "NONE",
                "requested_slots": list(requested),
                "slot_values": {slot: list(v) for slot, v in self.values.items()},
            },
        }
        # A turn that is none of the service's business has no frame of it.
        frames = [] if outside else [frame]
        self.turns.append({"speaker": "USER", "utterance": text, "frames": frames})

    def bot(
        self,
        pieces: Sequence[Piece],
        call: Optional[Mapping[str, str]] = None,
        results: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """The bot says `pieces`, after an API call with the parameters `call` if there was one."""
        text, spans = _join(pieces)
        frame: Dict[str, Any] = {"service": self.domain.name, "actions": [], "slots": spans}
        if call is not None:
            # SGD's calls go by the name of an intent.
            frame["service_call"] = {"method": self.intent, "parameters": dict(call)}
            frame["service_results"] = [dict(row) for row in results]
        self.turns.append({"speaker": "SYSTEM", "utterance": text, "frames": [frame]})

    def _value(self, slot: str, text: str) -> List[str]:
        listed = self.domain.slots[slot].listed
        if listed:
            return [next(v for v in listed if v.lower() == text.lower())]
        return [text, "tomorrow"] if text.lower() == "tmrw" else [text]

    def _noise(self, pieces: List[Piece]) -> List[Piece]:
        rng, style = self.rng, self.style
        lower = rng.random() < style.lower
        typo = rng.random() < style.typo
        done: List[Piece] = []
        for piece in pieces:
            text = piece.text
            if not piece.fixed:
                text = self._shorten.sub(self._abbreviate, text) if style.short else text
                if typo and re.search(r"[A-Za-z]{5}", text):
                    text, typo = _mistype(text, rng), False
                if style.neat:
                    text = re.sub(r"(?<![\w'])i(?=[\s']|$)", "I", text)
            done.append(piece._replace(text=text.lower() if lower else text))
        first, last = done[0], done[-1]
        if style.neat and not first.fixed and rng.random() < 0.9:
            done[0] = first._replace(text=first.text[0].upper() + first.text[1:])
        if not last.fixed and rng.random() < style.drop:
            done[-1] = last._replace(text=last.text.rstrip(".?!") or last.text)
        elif last.text[-1].isalnum() and rng.random() < (0.6 if style.neat else 0.12):
            end = "." if style.neat else rng.choice(["!!", "...", ".", "!", " :)", ".."])
            done.append(Piece(end))
        return done

    def _abbreviate(self, match: Any) -> str:
        found = match.group(0)
        return self._short[found.lower()] if self.rng.random() < self.style.short else found


def _join(pieces: Sequence[Piece]) -> Tuple[str, List[Dict[str, Any]]]:
    text, spans = "", []
    for piece in pieces:
        if text.endswith(".") and not piece.fixed and piece.text[:2] in (".", ". ", ".\n"):
            piece = piece._replace(text=piece.text[1:])  # a date may end in a dot of its own
        if piece.slot is not None:
            end = len(text) + len(piece.text)
            spans.append({"slot": piece.slot, "start": len(text), "exclusive_end": end})
        text += piece.text
    return text.rstrip(), spans


def _mistype(text: str, rng: random.Random) -> str:
    """One slip in one of the longer words."""
    match = rng.choice(list(re.finditer(r"[A-Za-z]{5,}", text)))
    at = rng.randrange(match.start() + 1, match.end() - 1)
    a, b = text[at], text[at + 1]
    slip = rng.choice([b + a, a, a + a + b, a + b + b, b])
    return text[:at] + slip + text[at + 2 :]
