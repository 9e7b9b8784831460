"""Answering with the support reply that answered the most similar situation."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Collection, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import LONGEST_REPLY, Dialogue, Schema, State, Turn
from rasa_onramp.generator.blocking import Blocked, sayable
from rasa_onramp.generator.grounding import Grounding
from rasa_onramp.generator.likeness import likeness, weighed
from rasa_onramp.generator.outcomes import Outcomes
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.replies import (
    SupportReply,
    constants_of,
    data_of,
    plain_slots_of,
    support_replies,
)
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.generator.templates import COUNT, Template, fill, value_of
from rasa_onramp.generator.trimming import without
from rasa_onramp.generator.wording import compose

if TYPE_CHECKING:  # torch is imported by what computes
    from rasa_onramp.embedding import Embed

__all__ = ["Reply", "RetrievalGenerator"]

_TOO_UNLIKE = 0.45  # below it, the schema's own words answer
_SCHEMA_CONFIDENCE = 0.3


@dataclass(frozen=True)
class Reply:
    """What to say.

    `template` is the reply with Rasa's placeholders, and `slots` those that it states; `source` the
    support turn it was taken from ("dialogue id#turn"), "model" for what a language model wrote, or
    "schema"; `confidence` in [0, 1] how alike the two situations are. `ends`: it says goodbye.
    Where a language model might have written it and didn't, `because` says why in a word.
    """

    text: str
    template: str
    source: str
    confidence: float
    slots: Tuple[str, ...] = ()
    ends: bool = False
    because: str = field(default="", compare=False)


class RetrievalGenerator:
    """Replies of one domain, from its support dialogues. The same input gives the same reply.

    `embed` turns texts into L2-normalised rows; it is called for the support dialogues' turns once,
    and for two texts a reply. Without support dialogues every reply is in the schema's own words.
    `alike` embeds what was said before a reply, in a space of its own; without it, `embed` does.
    Replies whose text or template is `blocked`, or longer than messengers take, are neither said
    nor found similar.
    """

    def __init__(
        self,
        schema: Schema,
        support: Sequence[Dialogue],
        embed: Embed,
        blocked: Collection[str] = (),
        alike: Optional[Embed] = None,
    ):
        self.schema = schema
        self._blocked = Blocked(blocked)
        replies = [
            reply
            for reply in sayable(support_replies(schema, support), self._blocked)
            if len(reply.template.original) <= LONGEST_REPLY
        ]
        self.pool = ReplyPool(schema, replies, embed if alike is None else alike)
        said = self.pool.replies
        self._grounding = Grounding(
            schema, data_of(support), constants_of(said), plain_slots_of(said)
        )
        self._embed = embed

    def reply(
        self,
        turns: Sequence[Turn],
        state: Optional[State],
        results: Sequence[Mapping[str, Any]] = (),
        action: Optional[str] = None,
        before: Optional[State] = None,
    ) -> Reply:
        """The reply to `turns`, which end in a user turn that left the domain in `state`.

        `action` is the API call that was just executed and `results` the rows that it returned;
        where none was executed, `results` may be those of the last one, and are else taken from
        `turns`. `state` is None where the user's message says nothing to the domain. Earlier user
        turns carry their states, so that it is known what the last one changed; where none of them
        does, `before` is the state that it found, if that is known.
        """
        now = situate(self.schema, turns, state, results, action, before)
        for score, candidate in self._ranked(now):
            if score < _TOO_UNLIKE:
                break
            if self.blocks(candidate.template.text, candidate.text):
                continue
            if not self.ungrounded(candidate.text, now):
                return Reply(
                    text=candidate.text,
                    template=candidate.template.text,
                    source=candidate.reply.source,
                    confidence=round(score, 4),
                    slots=candidate.template.slots,
                    ends=candidate.reply.ends and "?" not in candidate.text,
                )
        template = compose(self.schema, now)
        text = fill(template, now.state.values, now.rows) or ""
        return Reply(text, template.text, "schema", _SCHEMA_CONFIDENCE, template.slots)

    def blocks(self, template: str, text: str) -> bool:
        """Whether a reply was voted down (see blocking.py)."""
        return self._blocked.blocks(template, text)

    def ungrounded(self, text: str, now: Situation) -> Tuple[str, ...]:
        """What a reply claims that the bot doesn't know (see grounding.py)."""
        return self._grounding.ungrounded(text, now.state.values, now.rows)

    def unknown_names(self, text: str, now: Situation) -> Tuple[str, ...]:
        """Names in a text that the bot has from nowhere (see grounding.py)."""
        return self._grounding.unknown_names(text, now.state.values, now.rows)

    def claims_another_outcome(self, template: str, now: Situation) -> bool:
        """Whether a template tells of another outcome than `now`'s (see outcomes.py)."""
        return self._outcomes.claims_another(template, now, at_end=self.at_end(now))

    def at_end(self, now: Situation) -> bool:
        """Whether a turn is like those that support dialogues ended with (see pool.py)."""
        return not now.wants_more and self.pool.at_end(*self.pool.text_likeness(now))

    def asks_out_of_place(self, template: str, now: Situation) -> bool:
        """Whether a template is a question of the support dialogues that can't be asked now, as one
        whose answer is known.
        """
        asking = [each for each in self.pool.replies if each.asks]
        if template not in {each.template.text for each in asking}:
            return False
        return all(each.template.text != template for _, each in self.pool.fitting(now))

    @cached_property
    def _outcomes(self) -> Outcomes:  # made when it is first needed: retrieved replies need none
        return Outcomes(self.schema, self.pool.replies, self._embed)

    def _ranked(self, now: Situation) -> List[Tuple[float, _Candidate]]:
        """The replies that can be said, the likeliest first, each with its score in [0, 1]."""
        candidates = [
            candidate
            for number, reply in self.pool.fitting(now)
            for candidate in [_filled(number, reply, now)]
            if candidate is not None
        ]
        if not candidates:
            return []
        users, systems = self.pool.text_likeness(now)
        at_end = self.pool.at_end(users, systems)
        scored = []
        for candidate in candidates:
            if candidate.reply.ends and not at_end:
                continue
            number = candidate.number
            alike = float(users[number]), float(systems[number])
            scored.append((_score(candidate, now, *alike), candidate))
        scored.sort(key=lambda each: (-each[0], each[1].number))
        return scored


@dataclass(frozen=True)
class _Candidate:
    """A support reply, the `number`th, filled for the situation at hand."""

    number: int
    reply: SupportReply
    template: Template
    text: str


def _filled(number: int, reply: SupportReply, now: Situation) -> Optional[_Candidate]:
    first_row = reply.row_now(now) - reply.first_row
    template = reply.template
    unknown = [
        placeholder
        for placeholder in template.placeholders
        if value_of(placeholder, now.state.values, now.rows, first_row) is None
    ]
    if unknown:
        needed = {*now.missing, *now.requested, COUNT}
        if any(each.origin == "own" or each.slot in needed for each in unknown):
            return None
        trimmed = without(template, unknown)
        if trimmed is None:
            return None
        template = trimmed
    text = fill(template, now.state.values, now.rows, first_row)
    if text is None or (text == now.system and template.placeholders):
        return None  # it would tell the same thing again
    return _Candidate(number, reply, template, text)


def _score(candidate: _Candidate, now: Situation, user: float, system: float) -> float:
    states = frozenset(each.slot for each in candidate.template.placeholders)
    return weighed(
        {
            **likeness(candidate.reply, now, states, user, system),
            "complete": float(candidate.template is candidate.reply.template),
            "no repetition": float(candidate.text != now.system),
        }
    )
