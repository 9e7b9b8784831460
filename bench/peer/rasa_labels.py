"""What turns are called in Rasa's data: intents, actions, and the entities of a message."""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

from peer.work import Heard, Job, Outcome
from rasa_onramp.dialogue import Dialogue, Schema, Span, State, Turn
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.generator.spotting import Source, find_sources, longest, overlaps, plain_values

__all__ = [
    "FOUND",
    "action_name",
    "all_entities",
    "changes",
    "entities",
    "intent_name",
    "replies_by_turn",
    "reply_name",
]

#: Set after an API call: whether it returned rows.
FOUND = "results_found"


def intent_name(turn: Turn, before: State) -> str:
    """The Rasa intent of a user turn, said in the state `before`."""
    if turn.state is None:
        return "out_of_scope"
    acts = ["inform"] if changes(before, turn.state) else []
    acts += ["ask"] if turn.state.requested_slots else []
    return _name(turn.state.active_intent or "none", *(acts or ["other"]))


def action_name(name: str) -> str:
    """The Rasa action that makes an API call."""
    return _name("action", name)


def reply_name(reply: SupportReply) -> str:
    """The Rasa action that a reply is a wording of."""
    parts = ["ask", *sorted(reply.asks)] if reply.asks else []
    parts += ["tell", *sorted(reply.states)] if reply.states else []
    if not parts:
        parts = ["question" if "?" in reply.template.text else "statement"]
    return _name("utter", *parts)


def replies_by_turn(schema: Schema, dialogue: Dialogue) -> Dict[int, SupportReply]:
    """The replies of a dialogue by their turn's number."""
    return {reply.number: reply for reply in support_replies(schema, [dialogue])}


def _name(*parts: str) -> str:
    return re.sub(r"\W+", "_", "_".join(parts))


def changes(before: State, after: State) -> Dict[str, Tuple[str, ...]]:
    """The slots that got a new value, with their values."""
    return {
        slot: tuple(values)
        for slot, values in after.values.items()
        if values and tuple(before.values.get(slot, ())) != tuple(values)
    }


def all_entities(job: Job) -> Outcome:
    """States of the held-out dialogues as `from_entity` fills Rasa's slots if every entity is found
    and takes the value that it stands for: what no entity extractor is above. Values that stand
    nowhere in a message (offers that are taken, "any will do", yes and no) are out of its reach.
    """
    outcome = Outcome(gives=["states"])
    for dialogue in job.held_out:
        before, values = State(), {}
        for number, turn in enumerate(dialogue.turns):
            if turn.is_user:
                found = entities(job.schema, turn, before)
                values.update({span.slot: [value] for span, value in found})
                outcome.answered()
                outcome.heard.append(Heard(dialogue.id, number, dict(values)))
                before = turn.state or before
    return outcome


def entities(schema: Schema, turn: Turn, before: State) -> List[Tuple[Span, str]]:
    """Where a user turn states values, and the value that the slot takes there."""
    after = turn.state or State()
    new, tracked = changes(before, after), schema.tracked_slots
    found: Dict[Tuple[int, int], Tuple[str, str]] = {}
    for span in turn.spans:
        if span.slot in tracked and not overlaps((span.start, span.end), found):
            said = turn.text[span.start : span.end]
            values = after.values.get(span.slot, ())
            listed = schema.slot(span.slot).categorical and values
            found[span.start, span.end] = (span.slot, values[0] if listed else said)
    marked = {slot for slot, _ in found.values()}
    sources = [
        Source(slot, value, values[0])
        for slot, values in new.items()
        if slot not in marked and slot in tracked
        for value in plain_values(values)
        if value not in ("True", "False")
    ]
    places = find_sources(turn.text, sources)
    for region in longest(region for region, _ in places):
        source = next(each for place, each in places if place == region)
        if not overlaps(region, found):
            found[region] = (source.slot, source.preferred)
    return [(Span(slot, *place), value) for place, (slot, value) in sorted(found.items())]
