"""How alike two situations are, and whether a support reply can answer another one at all."""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, Mapping

from rasa_onramp.dialogue import Schema
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation, relevant_slots

__all__ = ["fitting", "likeness", "weighed"]

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


def likeness(
    reply: SupportReply, now: Situation, states: FrozenSet[str], user: float, system: float
) -> Dict[str, float]:
    """How alike the situation that `reply` answered and `now` are, feature by feature, in [0, 1].

    `states` are the slots whose values it would state now; `user` and `system` the likeness of the
    two situations' texts.
    """
    then = reply.situation
    missing, requested = frozenset(now.missing), now.requested
    return {
        "user text": user,
        "system text": system,
        "intent": float(then.state.active_intent == now.state.active_intent),
        "newly set": _jaccard(then.newly_set, now.newly_set),
        "anything new": float(then.brings_news == now.brings_news),
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
    }


def weighed(likenesses: Mapping[str, float]) -> float:
    """The weighted mean of likenesses, in [0, 1]."""
    score = sum(_WEIGHTS[name] * value for name, value in likenesses.items())
    return min(1.0, max(0.0, score / sum(_WEIGHTS[name] for name in likenesses)))


def fitting(schema: Schema, now: Situation) -> Callable[[SupportReply], bool]:
    """Tells of a reply whether it can answer `now` at all: what no likeness makes up for.

    It may be asked of thousands, so what is `now`'s alone is computed once, and what is quickly
    told comes first.
    """
    relevant = relevant_slots(schema, now.state)
    known_requests = frozenset(filter(now.knows, now.requested))
    outcome = now.in_scope, now.action, now.found
    talks = now.action is None and now.in_scope
    finished = now.done is not None and now.wants_nothing
    values, more = now.state.values, now.wants_more
    found, asked_of_each = now.slots_found, now.asked_of_each

    def fits(reply: SupportReply) -> bool:
        then = reply.situation
        if (then.in_scope, then.action, then.found) != outcome:
            return False
        if more and (reply.ends or reply.asks):
            return False  # it says goodbye, or goes on with what is done
        if reply.asks & now.newly_set:
            return False  # it asks for more, too, but takes no notice of what was given
        if talks:
            wants = {now.state.active_intent, then.state.active_intent} - {None}
            if len(wants) > 1 and (now.new_intent or then.new_intent or _confirms(reply)):
                return False  # it takes up another wish, or confirms it
            if finished and then.brings_news and _led_nowhere_else(reply, now):
                return False  # it leads to a call that has been made
            if now.brings_news and now.missing and not then.missing:
                return False  # it answered somebody who had said everything
            if known_requests and not known_requests & reply.answers:
                return False  # it doesn't answer the question
            if any(not reply.tells_each(slot, now) for slot in asked_of_each & reply.answers):
                return False  # it answers for one of several
            if now.newly_set and not (
                then.brings_news or reply.asks or now.newly_set & reply.states
            ):
                return False  # it takes no notice of what is new
            answered = then.requested & reply.answers
            if answered and not answered & now.requested:
                return False  # it answers a question that nobody asked
        if any(then.state.values[slot][:1] != values.get(slot, ())[:1] for slot in reply.wording):
            return False  # it speaks of what is otherwise now
        if reply.asks and not any(slot in relevant and not values.get(slot) for slot in reply.asks):
            return False  # it asks for what is known, or doesn't matter
        if reply.offered and reply.offered.isdisjoint(found):
            return False  # it offers what wasn't found
        if reply.template.text == now.system and any(values.get(slot) for slot in reply.asks):
            return False  # it asks again for what was partly given
        if then.wants_nothing and not then.system and now.system:
            return False  # it greets
        row = now.row_at(reply.row_now(now)) if reply.facts else {}
        # it tells in words what is otherwise of the row now
        return not any(row.get(slot) != value for slot, value in reply.facts)

    return fits


def _led_nowhere_else(reply: SupportReply, now: Situation) -> bool:
    """Whether no other call followed a reply than the one that is done, nor does it ask for what
    is missing.
    """
    return reply.leads_to in (None, now.done) and reply.asks.isdisjoint(now.missing)


def _confirms(reply: SupportReply) -> bool:
    """Whether a reply tells what the user gave, and neither asks nor was asked for anything."""
    if reply.asks or reply.situation.requested:
        return False
    return any(each.origin in ("state", "either") for each in reply.template.placeholders)


def _row_slots(situation: Situation) -> FrozenSet[str]:
    return frozenset(slot for row in situation.rows[:1] for slot in row)


def _share(part: FrozenSet[str], whole: FrozenSet[str]) -> float:
    """How much of `part` is in `whole`; of nothing, all."""
    return len(part & whole) / len(part) if part else 1.0


def _jaccard(one: FrozenSet[str], other: FrozenSet[str]) -> float:
    union = one | other
    return len(one & other) / len(union) if union else 1.0
