"""A domain's support replies, searched by how alike the situations are that they answered."""

from __future__ import annotations

from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Collection, Dict, Iterator, List, Sequence, Tuple

import numpy

from rasa_onramp.dialogue import Schema
from rasa_onramp.generator.likeness import fitting, likeness, weighed
from rasa_onramp.generator.repetition import keeps_wording
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation
from rasa_onramp.memory import LastUsed

if TYPE_CHECKING:  # torch is imported by what computes
    from rasa_onramp.embedding import Embed

__all__ = ["ReplyPool", "rows_of"]

#: A turn is taken for an end if no other is more alike than the likest that ended a dialogue by
#: this much (a sum of two cosines). Chosen by bench/farewells.py.
_END_MARGIN = 0.15

#: Bytes of what was found similar that are kept for each reply: a small part of what it takes.
_KEPT = 256
#: Bytes of what was found similar to one situation, about.
_FOUND = 384


class ReplyPool:
    """Support replies that are examples, with the embedded texts of the turns before them.

    `embed` is called for those turns once, and for two texts a search. Thread-safe; what was found
    similar is remembered, since a conversation's past is searched for at each of its turns.
    """

    def __init__(self, schema: Schema, replies: Sequence[SupportReply], embed: Embed):
        self.schema = schema
        self.replies = tuple(reply for reply in replies if reply.example)
        self._embed = embed
        self._ends = numpy.array([reply.ends for reply in self.replies], dtype=bool)
        self._users = rows_of(embed, [reply.situation.user for reply in self.replies])
        self._systems = rows_of(embed, [reply.situation.system for reply in self.replies])
        #: By a digest of all that was asked: the numbers of the replies. Nothing else changes them.
        self._found: LastUsed[bytes, Tuple[int, ...]] = LastUsed(_KEPT * len(self.replies))

    @cached_property
    def keeps_wording(self) -> float:
        """How far the bot keeps to its wording, from 0 to 1 (see repetition.py)."""
        said: Dict[str, List[str]] = {}
        for reply in self.replies:
            said.setdefault(reply.dialogue, []).append(reply.template.text)
        return keeps_wording(list(said.values()))

    def text_likeness(self, now: Situation) -> Tuple[numpy.ndarray, numpy.ndarray]:
        """Cosines of `now`'s user and system texts with those of each reply, (replies,) each."""
        if not self.replies:
            return numpy.zeros(0), numpy.zeros(0)
        user, system = rows_of(self._embed, [now.user, now.system])
        return self._users @ user, self._systems @ system

    def at_end(self, users: numpy.ndarray, systems: numpy.ndarray) -> bool:
        """Whether a turn is like those that support dialogues ended with, by its `text_likeness`.

        Its state can't tell: one that the tracker understood nothing of brings as little as a
        goodbye does.
        """
        if not self._ends.any():
            return False
        alike = users + systems
        others = alike[~self._ends].max(initial=-2.0)
        return bool(alike[self._ends].max() + _END_MARGIN >= others)

    def similar(
        self, now: Situation, count: int, *, leave_out: Collection[str] = ()
    ) -> List[SupportReply]:
        """Up to `count` replies that could answer `now`, the likeliest first, no two worded alike.

        Those of the dialogues whose ids are in `leave_out` don't count.
        """
        asked = blake2b(repr((now, count, sorted(leave_out))).encode("utf-8", "surrogatepass"))
        found = self._found.get(asked.digest())
        if found is None:
            found = self._similar(now, count, leave_out)
            self._found.put(asked.digest(), found, _FOUND)
        return [self.replies[number] for number in found]

    def fitting(self, now: Situation) -> Iterator[Tuple[int, SupportReply]]:
        """The replies that can answer `now` at all, each with its number."""
        fits = fitting(self.schema, now)
        return ((number, reply) for number, reply in enumerate(self.replies) if fits(reply))

    def _similar(self, now: Situation, count: int, leave_out: Collection[str]) -> Tuple[int, ...]:
        users, systems = self.text_likeness(now)
        scored = []
        for number, reply in self.fitting(now):
            if reply.dialogue in leave_out:
                continue
            alike = float(users[number]), float(systems[number])
            score = weighed(likeness(reply, now, reply.states, *alike))
            scored.append((-score, number))
        chosen: Dict[str, int] = {}  # by its wording
        for _, number in sorted(scored):
            if len(chosen) == count:
                break
            chosen.setdefault(self.replies[number].template.text, number)
        return tuple(chosen.values())


def rows_of(embed: Embed, texts: Sequence[str]) -> numpy.ndarray:
    """The embedded texts, (texts, dimensions)."""
    if not texts:
        return numpy.zeros((0, 1), dtype=numpy.float32)
    return embed(texts).detach().cpu().float().numpy()
