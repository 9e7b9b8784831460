"""Replies of several methods to the same turns, one JSON object a line, as `evaluate` writes them.

    {"service": "Hotels_4", "shots": 5, "seed": 0, "dialogue": "1_00012", "turn": 3,
     "history": [["user", "..."], ["system", "..."], ["user", "..."]],
     "reference": "...", "replies": {"adapted": "...", "retrieval": "..."}}

Further keys are left alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple, Union

from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import parse_json_line
from rasa_onramp.formats.shape import Misfit, get, shape
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.wording import quote

__all__ = ["LIMIT", "AnsweredTurn", "Replies", "read_replies"]

#: The most bytes the file may hold, unpacked.
LIMIT = 256 * 2**20

_SPEAKERS = ("user", "system")
_WRITTEN_BY = "write the file anew with `rasa-onramp evaluate`"


@dataclass(frozen=True)
class AnsweredTurn:
    """A turn of a held-out dialogue with each method's reply to it.

    `shots` and `seed` say which support set the methods had; `history` is (speaker, text) up to
    and with the user's turn that is answered; `reference` is what the dialogue itself answers.
    """

    service: str
    shots: int
    seed: int
    dialogue: str
    turn: int
    history: Tuple[Tuple[str, str], ...]
    reference: str
    replies: Mapping[str, str]

    @property
    def key(self) -> Tuple[str, int, int, str, int]:
        """What no other turn of the file has."""
        return (self.service, self.shots, self.seed, self.dialogue, self.turn)


@dataclass(frozen=True)
class Replies:
    """A whole file. `digest` is the SHA-256 of its text."""

    path: Path
    digest: str
    turns: Tuple[AnsweredTurn, ...]


def read_replies(path: Union[str, Path]) -> Replies:
    """The turns of a file, in its order. Empty lines don't count. Raises FormatError."""
    path = Path(path)
    text = read_text(path, LIMIT)
    turns = []
    seen: Dict[Tuple[Any, ...], int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            turn = _turn(parse_json_line(line, path, number))
        except Misfit as misfit:
            raise FormatError(misfit.message, path=path, line=number, mend=misfit.mend) from misfit
        if turn.key in seen:
            raise FormatError(
                f"the same turn as line {seen[turn.key]}", path=path, line=number, mend=_WRITTEN_BY
            )
        seen[turn.key] = number
        turns.append(turn)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return Replies(path, digest, tuple(turns))


def _turn(raw: Any) -> AnsweredTurn:
    shape(raw, dict, "a line", ())
    history = tuple(
        _utterance(item, place) for place, item in enumerate(get(raw, "history", list, ()), start=1)
    )
    if not history or history[-1][0] != "user":
        raise Misfit("'history' must end with the user's turn that is answered", _WRITTEN_BY, ())
    replies = get(raw, "replies", dict, ())
    for method, reply in replies.items():
        shape(reply, str, f"the reply of {quote(method)}", ())
    return AnsweredTurn(
        service=get(raw, "service", str, ()),
        shots=get(raw, "shots", int, ()),
        seed=get(raw, "seed", int, ()),
        dialogue=get(raw, "dialogue", str, ()),
        turn=get(raw, "turn", int, ()),
        history=history,
        reference=get(raw, "reference", str, ()),
        replies=replies,
    )


def _utterance(item: Any, place: int) -> Tuple[str, str]:
    shape(item, list, f"item {place} of 'history'", ())
    if len(item) != 2 or not all(isinstance(part, str) for part in item):
        raise Misfit(f"item {place} of 'history' isn't a speaker and a text", _WRITTEN_BY, ())
    speaker, text = item
    if speaker not in _SPEAKERS:
        raise Misfit(
            f"item {place} of 'history' is by {quote(speaker)}", "write 'user' or 'system'", ()
        )
    return speaker, text
