"""A domain's support replies, searched by how alike the situations are that they answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, List, Sequence, Tuple

import numpy

from rasa_onramp.dialogue import Schema
from rasa_onramp.generator.likeness import fits, likeness, weighed
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation

if TYPE_CHECKING:  # torch is imported by what computes
    from rasa_onramp.embedding import Embed

__all__ = ["ReplyPool", "rows_of"]

#: A turn is taken for an end if no other is more alike than the likest that ended a dialogue by
#: this much (a sum of two cosines). Chosen by bench/farewells.py.
_END_MARGIN = 0.15


class ReplyPool:
    """Support replies with the embedded texts of the turns before them.

    `embed` is called for those turns once, and for two texts a search.
    """

    def __init__(self, schema: Schema, replies: Sequence[SupportReply], embed: Embed):
        self.schema = schema
        self.replies = tuple(replies)
        self._embed = embed
        self._ends = numpy.array([reply.ends for reply in self.replies], dtype=bool)
        self._users = rows_of(embed, [reply.situation.user for reply in self.replies])
        self._systems = rows_of(embed, [reply.situation.system for reply in self.replies])

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
        users, systems = self.text_likeness(now)
        scored = []
        for number, reply in enumerate(self.replies):
            if reply.dialogue in leave_out or not fits(self.schema, reply, now):
                continue
            alike = float(users[number]), float(systems[number])
            score = weighed(likeness(reply, now, reply.states, *alike))
            scored.append((-score, number))
        chosen: List[SupportReply] = []
        for _, number in sorted(scored):
            if len(chosen) == count:
                break
            reply = self.replies[number]
            if all(reply.template.text != other.template.text for other in chosen):
                chosen.append(reply)
        return chosen


def rows_of(embed: Embed, texts: Sequence[str]) -> numpy.ndarray:
    """The embedded texts, (texts, dimensions)."""
    if not texts:
        return numpy.zeros((0, 1), dtype=numpy.float32)
    return embed(texts).detach().cpu().float().numpy()
