"""Whether a written reply claims another outcome than the one at hand.

"I've made the appointment" states no value, so grounding has nothing to say about it; but it is
false where the call that should make it found nothing, or was never made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Optional, Sequence, Tuple

import numpy

from rasa_onramp.dialogue import Schema
from rasa_onramp.generator.placeholders import in_words, replaced
from rasa_onramp.generator.pool import rows_of
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation
from rasa_onramp.generator.spotting import tokens

if TYPE_CHECKING:  # torch is imported by what computes
    from rasa_onramp.embedding import Embed

__all__ = ["Outcomes", "denies"]

#: How alike (cosine) a text must be to a reply of another outcome, and how much more than to any
#: of this one, to claim the other.
_ALIKE, _MORE = 0.7, 0.1

_DENIALS = re.compile(
    r"no|not|n['’]?t|never|none|nothing|nobody|nowhere|neither|nor|cannot|without|unable|sorry|afraid|"
    r"unfortunately|fail(ed|s)?|invalid|unavailable|unsuccessful|impossible"
)
#: Denies nothing.
_POLITE = re.compile(
    r"\b(no (problem|worries|trouble)|not a problem|sorry (for|about) the (wait|delay))\b", re.I
)


class Outcomes:
    """Knows the outcomes that a domain's support replies tell of: which API call was made right
    before each, if any, and whether it found something.
    """

    def __init__(self, schema: Schema, replies: Sequence[SupportReply], embed: Embed):
        self._telling = {action.name for action in schema.actions if action.result_slots}
        self._embed = embed
        self._outcomes = [_outcome(reply.situation) for reply in replies]
        self._ends = numpy.array([reply.ends for reply in replies], dtype=bool)
        self._rows = rows_of(embed, [in_words(reply.template.text) for reply in replies])

    def claims_another(self, text: str, now: Situation, *, at_end: bool = True) -> bool:
        """Whether a template says what isn't so after the call that was made, or wasn't.

        A call that should have found something and didn't must be told as such: where the text
        denies nothing, it claims that there was something. Else it claims what the support reply
        most alike tells of, unless one of the outcome at hand is about as alike. Unless the
        conversation is `at_end`, a reply that ended a support dialogue tells of another.
        """
        if now.found is False and now.action in self._telling and not denies(text):
            return True
        if not self._outcomes:
            return False
        alike = self._rows @ rows_of(self._embed, [in_words(text)])[0]
        same = numpy.array([each == _outcome(now) for each in self._outcomes])
        if not at_end:
            same &= ~self._ends
        other = alike[~same].max(initial=0.0)
        return bool(other >= _ALIKE and other - alike[same].max(initial=0.0) >= _MORE)


def denies(text: str) -> bool:
    """Whether a text says that something isn't so, can't be, or failed."""
    literal = _POLITE.sub("", replaced(text, by="it"))
    return any(_DENIALS.fullmatch(token.lower_) for token in tokens(literal))


def _outcome(situation: Situation) -> Tuple[bool, Optional[str], Optional[bool]]:
    return situation.in_scope, situation.action, situation.found
