"""Answering with the support reply that answered the most similar situation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import numpy

from rasa_onramp.dialogue import Dialogue, Schema, State, Turn
from rasa_onramp.generator.delexicalise import COUNT, Template, fill, value_of
from rasa_onramp.generator.grounding import Grounding
from rasa_onramp.generator.replies import SupportReply, constants_of, data_of, support_replies
from rasa_onramp.generator.situation import Situation, relevant_slots, situate
from rasa_onramp.generator.spotting import plain_values
from rasa_onramp.generator.trimming import without
from rasa_onramp.generator.wording import compose

__all__ = ["Reply", "RetrievalGenerator"]

#: Texts -> one L2-normalised row a text, as a torch tensor or a numpy array (texts, dimensions).
Embed = Callable[[Sequence[str]], Any]

# How much each likeness counts. Each is 1 where the situations are alike.
_WEIGHTS = {
    "user text": 1.0,
    "system text": 0.5,
    "intent": 0.8,
    "newly set": 0.5,
    "anything new": 0.5,
    "requested": 0.5,
    "missing": 0.4,
    "asks what is missing": 0.5,
    "states what is requested": 0.5,
    "states what is new": 0.3,
    "row slots": 0.3,
    "row count": 0.3,
    "row agrees": 1.0,
    "opening": 0.2,
    "complete": 0.2,
    "no repetition": 0.3,
}
_TOO_UNLIKE = 0.45  # below it, the schema's own words answer
_SCHEMA_CONFIDENCE = 0.3


@dataclass(frozen=True)
class Reply:
    """What to say.

    `template` is the reply with Rasa's placeholders; `source` the support turn it was taken from
    ("dialogue id#turn"), or "schema"; `confidence` in [0, 1] how alike the two situations are.
    """

    text: str
    template: str
    source: str
    confidence: float


class RetrievalGenerator:
    """Replies of one domain, from its support dialogues. The same input gives the same reply.

    `embed` turns texts into L2-normalised rows; it is called for the support dialogues' turns once,
    and for two texts a reply. Without support dialogues every reply is in the schema's own words.
    """

    def __init__(self, schema: Schema, support: Sequence[Dialogue], embed: Embed):
        self._schema = schema
        self._embed = embed
        self._replies = support_replies(schema, support)
        self._grounding = Grounding(schema, data_of(support), constants_of(self._replies))
        self._users = self._vectors([reply.situation.user for reply in self._replies])
        self._systems = self._vectors([reply.situation.system for reply in self._replies])

    def reply(
        self,
        turns: Sequence[Turn],
        state: Optional[State],
        results: Sequence[Mapping[str, Any]] = (),
        action: Optional[str] = None,
    ) -> Reply:
        """The reply to `turns`, which end in a user turn that left the domain in `state`.

        `action` is the API call that was just executed and `results` the rows that it returned;
        where none was executed, `results` may be those of the last one, and are else taken from
        `turns`. `state` is None where the user's message says nothing to the domain. Earlier user
        turns carry their states, so that it is known what the last one changed.
        """
        now = situate(self._schema, turns, state, results, action)
        for score, candidate in self._ranked(now):
            if score < _TOO_UNLIKE:
                break
            if not self._grounding.ungrounded(candidate.text, now.state.values, now.rows):
                return Reply(
                    text=candidate.text,
                    template=candidate.template.text,
                    source=candidate.reply.source,
                    confidence=round(score, 4),
                )
        template = compose(self._schema, now)
        text = fill(template, now.state.values, now.rows) or ""
        return Reply(text, template.text, "schema", _SCHEMA_CONFIDENCE)

    def _ranked(self, now: Situation) -> List[Tuple[float, _Candidate]]:
        """The replies that can be said, the likeliest first, each with its score in [0, 1]."""
        candidates = [
            candidate
            for number, reply in enumerate(self._replies)
            if _fits(reply, now, relevant_slots(self._schema, now.state))
            for candidate in [_filled(number, reply, now)]
            if candidate is not None
        ]
        if not candidates:
            return []
        user, system = self._vectors([now.user, now.system])
        scored = []
        for candidate in candidates:
            number = candidate.number
            alike = float(self._users[number] @ user), float(self._systems[number] @ system)
            scored.append((_likeness(candidate, now, *alike), candidate))
        scored.sort(key=lambda each: (-each[0], each[1].number))
        return scored

    def _vectors(self, texts: Sequence[str]) -> numpy.ndarray:
        if not texts:
            return numpy.zeros((0, 1), dtype=numpy.float32)
        rows = self._embed(texts)
        if hasattr(rows, "detach"):
            rows = rows.detach().cpu().float().numpy()
        return numpy.asarray(rows, dtype=numpy.float32)


@dataclass(frozen=True)
class _Candidate:
    """A support reply, the `number`th, filled for the situation at hand."""

    number: int
    reply: SupportReply
    template: Template
    text: str


def _filled(number: int, reply: SupportReply, now: Situation) -> Optional[_Candidate]:
    first_row = 0
    if now.row is not None and len(now.rows) > 1:
        # A reply about the row in focus, or about the next one, is again about that.
        focus = reply.situation.row
        step = reply.first_row - focus if focus is not None else 0
        first_row = now.row + step - reply.first_row
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


def _fits(reply: SupportReply, now: Situation, relevant: FrozenSet[str]) -> bool:
    """What no likeness makes up for."""
    then = reply.situation
    if (then.in_scope, then.action, then.found) != (now.in_scope, now.action, now.found):
        return False
    values = now.state.values
    if any(then.state.values[slot][:1] != values.get(slot, ())[:1] for slot in reply.wording):
        return False  # it speaks of what is otherwise now
    if reply.asks and not any(slot in relevant and not values.get(slot) for slot in reply.asks):
        return False  # it asks for what is known, or doesn't matter
    if now.action is None and now.in_scope:
        if (now.newly_set or now.new_intent) and now.missing and not then.missing:
            return False  # it answered somebody who had said everything
        if now.newly_set and not (
            _anything_new(then) or reply.asks or now.newly_set & reply.states
        ):
            return False  # it takes no notice of what is new
        if now.new_intent or then.new_intent:
            wants = {now.state.active_intent, then.state.active_intent} - {None}
            if len(wants) > 1:
                return False  # it takes up another wish
        if _known_requests(now) and not _known_requests(now) & reply.states:
            return False  # it doesn't answer the question
        if then.requested & reply.states and not now.requested:
            return False  # it answers a question that nobody asked
    return True


def _known_requests(now: Situation) -> FrozenSet[str]:
    row = now.rows[now.row or 0] if now.rows else {}
    values = now.state.values
    return frozenset(
        slot
        for slot in now.requested
        if plain_values(row.get(slot)) or plain_values(values.get(slot))
    )


def _likeness(candidate: _Candidate, now: Situation, user: float, system: float) -> float:
    reply, then = candidate.reply, candidate.reply.situation
    missing, requested = frozenset(now.missing), now.requested
    states = frozenset(each.slot for each in candidate.template.placeholders)
    likenesses = {
        "user text": user,
        "system text": system,
        "intent": float(then.state.active_intent == now.state.active_intent),
        "newly set": _jaccard(then.newly_set, now.newly_set),
        "anything new": float(_anything_new(then) == _anything_new(now)),
        "requested": _jaccard(then.requested, requested),
        "missing": _jaccard(frozenset(then.missing), missing),
        "asks what is missing": float(bool(reply.asks & missing))
        if missing
        else 1 - 0.5 * bool(reply.asks),
        "states what is requested": _share(requested, states),
        "states what is new": 1
        - abs(_share(then.newly_set, reply.states) - _share(now.newly_set, states)),
        "row slots": 1.0 if now.action is None else _jaccard(_row_slots(then), _row_slots(now)),
        "row count": float(now.action is None or min(len(then.rows), 3) == min(len(now.rows), 3)),
        "row agrees": float(now.action is None or then.agrees == now.agrees),
        "opening": float(bool(then.system) == bool(now.system)),
        "complete": float(candidate.template is reply.template),
        "no repetition": float(candidate.text != now.system),
    }
    score = sum(_WEIGHTS[name] * value for name, value in likenesses.items())
    return min(1.0, max(0.0, score / sum(_WEIGHTS.values())))


def _anything_new(situation: Situation) -> bool:
    return bool(situation.newly_set) or situation.new_intent


def _row_slots(situation: Situation) -> FrozenSet[str]:
    return frozenset(slot for row in situation.rows[:1] for slot in row)


def _share(part: FrozenSet[str], whole: FrozenSet[str]) -> float:
    """How much of `part` is in `whole`; of nothing, all."""
    return len(part & whole) / len(part) if part else 1.0


def _jaccard(one: FrozenSet[str], other: FrozenSet[str]) -> float:
    union = one | other
    return len(one & other) / len(union) if union else 1.0
