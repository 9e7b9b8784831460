"""Answering with the support reply that answered the most similar situation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import numpy

from rasa_onramp.dialogue import Dialogue, Schema, State, Turn
from rasa_onramp.generator.delexicalise import fill
from rasa_onramp.generator.grounding import Grounding
from rasa_onramp.generator.replies import SupportReply, data_of, support_replies
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.generator.wording import compose

__all__ = ["Reply", "RetrievalGenerator"]

#: Texts -> one L2-normalised row a text, as a torch tensor or a numpy array (texts, dimensions).
Embed = Callable[[Sequence[str]], Any]

# How much each likeness counts. Every likeness is in [0, 1], or in [-1, 0] for a drawback.
_WEIGHTS = {
    "user text": 1.0,
    "system text": 0.5,
    "intent": 0.4,
    "newly set": 0.5,
    "requested": 0.6,
    "missing": 0.4,
    "asks what is missing": 0.5,
    "states what is requested": 0.3,
    "listed values": 0.2,
    "rows": 0.2,
    "opening": 0.2,
    "repeats itself": 0.3,
}
_BEST = sum(_WEIGHTS.values()) - _WEIGHTS["repeats itself"]
_TOO_UNLIKE = 0.35  # of the best; below it the schema's own words answer
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

    `embed` turns texts into L2-normalised rows; it is called once for the support dialogues and
    once for each reply. Without support dialogues every reply is in the schema's own words.
    """

    def __init__(self, schema: Schema, support: Sequence[Dialogue], embed: Embed):
        self._schema = schema
        self._embed = embed
        self._replies = support_replies(schema, support)
        literals = [" \u25a1 ".join(reply.template.literals) for reply in self._replies]
        self._grounding = Grounding(schema, data_of(support), literals)
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
            text = self._filled(candidate, now)
            if text is not None and not self._grounding.ungrounded(
                text, now.state.values, now.rows
            ):
                return Reply(text, candidate.template.text, candidate.source, round(score, 4))
        template = compose(self._schema, now)
        text = fill(template, now.state.values, now.rows) or ""
        return Reply(text, template.text, "schema", _SCHEMA_CONFIDENCE)

    def _ranked(self, now: Situation) -> List[Tuple[float, SupportReply]]:
        usable = [number for number, each in enumerate(self._replies) if _fits(each, now)]
        if not usable:
            return []
        user, system = self._vectors([now.user, now.system])
        scores = [
            (
                _likeness(
                    self._replies[number],
                    now,
                    float(self._users[number] @ user),
                    float(self._systems[number] @ system),
                ),
                number,
            )
            for number in usable
        ]
        scores.sort(key=lambda each: (-each[0], each[1]))
        return [(max(0.0, min(1.0, score)), self._replies[number]) for score, number in scores]

    def _filled(self, candidate: SupportReply, now: Situation) -> Optional[str]:
        first_row = 0
        if now.row is not None and len(now.rows) > 1:
            # A reply about the row in focus, or about the next one, is again about that.
            focus = candidate.situation.row
            step = candidate.first_row - focus if focus is not None else 0
            first_row = now.row + step - candidate.first_row
        return fill(candidate.template, now.state.values, now.rows, first_row)

    def _vectors(self, texts: Sequence[str]) -> numpy.ndarray:
        if not texts:
            return numpy.zeros((0, 1), dtype=numpy.float32)
        rows = self._embed(texts)
        if hasattr(rows, "detach"):
            rows = rows.detach().cpu().float().numpy()
        return numpy.asarray(rows, dtype=numpy.float32)


def _fits(candidate: SupportReply, now: Situation) -> bool:
    """What no likeness makes up for."""
    then = candidate.situation
    if then.in_scope != now.in_scope or then.action != now.action or then.found != now.found:
        return False
    unset = {slot for slot in candidate.asks if not now.state.values.get(slot)}
    return bool(unset) or not candidate.asks


def _likeness(candidate: SupportReply, now: Situation, user: float, system: float) -> float:
    then = candidate.situation
    missing = frozenset(now.missing)
    likenesses = {
        "user text": user,
        "system text": system,
        "intent": float(then.state.active_intent == now.state.active_intent),
        "newly set": _jaccard(then.newly_set, now.newly_set),
        "requested": _jaccard(then.requested, now.requested),
        "missing": _jaccard(frozenset(then.missing), missing),
        "asks what is missing": float(bool(candidate.asks & missing) == bool(missing)),
        "states what is requested": float(now.requested <= candidate.states),
        "listed values": -float(_listed_differ(then, now)),
        "rows": float(min(len(then.rows), 2) == min(len(now.rows), 2)),
        "opening": float(bool(then.system) == bool(now.system)),
        "repeats itself": -float(candidate.template.text == now.system),
    }
    return sum(_WEIGHTS[name] * value for name, value in likenesses.items()) / _BEST


def _listed_differ(then: Situation, now: Situation) -> bool:
    """Whether a yes-or-no slot had another value: the text says so in words, not in a value."""
    for slot, values in then.state.values.items():
        if values[:1] in (("True",), ("False",)) and now.state.values.get(slot, values) != values:
            return True
    return False


def _jaccard(one: FrozenSet[str], other: FrozenSet[str]) -> float:
    union = one | other
    return len(one & other) / len(union) if union else 1.0
