"""Replies as a bot would have to give them: in the states that its tracker predicts."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.generator.templates import Placeholder, value_of
from rasa_onramp.tracker.answers import TurnPrediction

__all__ = ["reread", "with_predictions"]


def with_predictions(
    dialogue: Dialogue, predictions: Sequence[Optional[TurnPrediction]]
) -> Dialogue:
    """The dialogue with the predicted states, one a user turn. A turn without a prediction, which
    is about something else, stays without a state.
    """
    waiting = iter(predictions)
    turns = []
    for turn in dialogue.turns:
        prediction = next(waiting) if turn.is_user else None
        turns.append(turn if prediction is None else replace(turn, state=prediction.state))
    return replace(dialogue, turns=tuple(turns))


def reread(
    schema: Schema, replies: Sequence[SupportReply], dialogue: Dialogue
) -> Tuple[SupportReply, ...]:
    """The replies of a dialogue in other states: those of `dialogue`, which is theirs but for them.

    What was said stays as it was delexicalised by the states that it was said in. By a state that
    lacks a value, this would stay in the text as it is, and to write it there is what a bot must
    not learn: it would be made up. So a reply that states what the bot no longer knows, or what a
    call returned that it could no longer make, isn't `known`: it is read as history only.
    """
    found: List[SupportReply] = []
    made = True  # whether the bot could have made the last call
    for reply in replies:
        turn, before = dialogue.turns[reply.number], dialogue.turns[: reply.number]
        now = situate(schema, before, before[-1].state, turn.results, turn.action)
        if now.action is not None:
            made = _held(schema, reply.situation) <= _held(schema, now)
        unmade = not made and (now.action is not None or bool(now.rows))
        untold = _told(reply, reply.situation) - _told(reply, now)
        known = reply.known and not unmade and not untold
        found.append(replace(reply, situation=now, known=known))
    return tuple(found)


def _held(schema: Schema, now: Situation) -> Set[str]:
    """What the state has of the slots that the call needs."""
    needed = {s for a in schema.actions if a.name == now.action for s in a.required_slots}
    return {slot for slot in needed if now.state.values.get(slot)}


def _told(reply: SupportReply, now: Situation) -> Set[Placeholder]:
    """The placeholders for which there is a value."""
    every = reply.template.placeholders
    return {each for each in every if value_of(each, now.state.values, now.rows) is not None}
