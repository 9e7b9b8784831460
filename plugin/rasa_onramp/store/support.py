"""What a domain is adapted on and answers from: its schema, its support dialogues, and what people
corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterable, List, Sequence, Set, Tuple

import sqlalchemy as sa

from rasa_onramp.dialogue import Dialogue, Schema, State, Turn
from rasa_onramp.store import tables
from rasa_onramp.store.database import Database
from rasa_onramp.store.digest import support_digest_of
from rasa_onramp.store.feedback import Feedback, read_feedback
from rasa_onramp.store.rows import read_dialogues, require_domain
from rasa_onramp.store.serialise import schema_from_json

__all__ = ["SupportSet", "corrected_dialogues", "read_support"]


@dataclass(frozen=True)
class SupportSet:
    """`dialogues` are the support dialogues (all that aren't held out), then those that corrections
    make; `blocked` the texts and templates of replies that were voted down; `digest` is of all that
    a version is made from, but not of `held_out`: that of the domain's summary, so of what was
    imported, even where a row was edited by hand since.
    """

    schema: Schema
    dialogues: Tuple[Dialogue, ...]
    held_out: Tuple[Dialogue, ...]
    blocked: Tuple[str, ...]
    digest: str


def read_support(database: Database, domain: str, held_out: bool = True) -> SupportSet:
    """A domain's support set at one moment; without the dialogues that are held out, which are most
    of them, unless they are wanted. Raises NotFound, StoreError, StoreUnavailable.
    """
    table, members = tables.domains.c, tables.dialogues.c
    with database.reading() as connection:
        row = connection.execute(
            sa.select(table.schema, table.digest).where(table.name == domain)
        ).first()
        if row is None:
            require_domain(connection, domain)
        split = None if held_out else "support"
        dialogues = read_dialogues(connection, domain, split, waiting=False)
        feedback = read_feedback(connection, domain, learned=True)
        learned = sa.select(members.digest).where(
            members.domain == domain,
            sa.func.coalesce(members.split, "") != "held-out",
            sa.func.coalesce(members.review, "") != tables.WAITING,
        )
        said = sa.select(tables.feedback.c.digest).where(
            tables.feedback.c.domain == domain, tables.feedback.c.digest.isnot(None)
        )
        digest = support_digest_of(
            row.digest,
            connection.execute(learned).scalars(),
            connection.execute(said).scalars(),
        )
    schema = schema_from_json(row.schema, f"the schema of domain {domain!r}")
    support = tuple(dialogue for dialogue in dialogues if dialogue.split != "held-out")
    down = [each for each in feedback if each.thumb == "down"]
    blocked = {text for each in down for text in (each.reply.text, each.template) if text}
    return SupportSet(
        schema=schema,
        dialogues=(*support, *corrected_dialogues(feedback)),
        held_out=tuple(dialogue for dialogue in dialogues if dialogue.split == "held-out"),
        blocked=tuple(sorted(blocked)),
        digest=digest,
    )


def corrected_dialogues(feedback: Sequence[Feedback]) -> Tuple[Dialogue, ...]:
    """One dialogue for each correction: the conversation so far, as it should have been.

    It ends in the corrected reply; where only the state was corrected, in the bot's own if that
    came with an API call, else in the message: what follows the right state isn't known.
    Earlier messages whose state was corrected too, in other feedback on the same conversation, have
    that, and earlier replies that were corrected say that; what was said without a call after a
    message that was misunderstood is left out. Earlier replies, which may be the host bot's or
    another domain's, are no examples.
    """
    by_conversation: Dict[str, List[Feedback]] = {}
    for each in feedback:
        by_conversation.setdefault(each.conversation, []).append(each)
    return tuple(
        _corrected(each, by_conversation[each.conversation]) for each in feedback if each.corrects
    )


def _corrected(feedback: Feedback, others: Iterable[Feedback]) -> Dialogue:
    turns = list(feedback.history)
    before = sorted(others, key=lambda other: len(other.history))
    misled: Set[int] = set()
    for other in (*(o for o in before if _precedes(o, feedback)), feedback):
        place = len(other.history)
        if other.corrected_state is not None:
            _put(turns, place - 1, other.corrected_state)
        if other is feedback:
            break
        if other.corrected_reply is not None:
            turns[place] = _say(turns[place], other.reply.text, other.corrected_reply)
        elif other.corrected_state is not None and other.reply.action is None:
            misled.add(place)
    turns = [turn for place, turn in enumerate(turns) if place not in misled]
    history, reply = len(turns), feedback.reply
    if feedback.corrected_reply is not None:
        reply = replace(reply, text=feedback.corrected_reply, spans=())
    if feedback.corrected_reply is not None or reply.action is not None:
        turns.append(reply)
    return Dialogue(f"feedback-{feedback.id}", feedback.domain, tuple(turns), "support", history)


def _precedes(other: Feedback, feedback: Feedback) -> bool:
    """Whether `other` is on an earlier message of the very same conversation."""
    said = [turn.text for turn in other.history]
    longer = len(feedback.history) > len(said) > 0
    return longer and [turn.text for turn in feedback.history[: len(said)]] == said


def _say(turn: Turn, wrong: str, right: str) -> Turn:
    """`turn` with the reply `right` for `wrong`. Where the bot said more beside that, in one turn
    (`joined`), the rest stays; where it doesn't hold `wrong` word for word, so does all of it.
    """
    start = f" {turn.text} ".find(f" {wrong} ")
    if turn.is_user or start < 0:
        return turn
    end, shift = start + len(wrong), len(right) - len(wrong)
    before = [span for span in turn.spans if span.end <= start]
    after = [span for span in turn.spans if span.start >= end]
    moved = [replace(s, start=s.start + shift, end=s.end + shift) for s in after]
    text = f"{turn.text[:start]}{right}{turn.text[end:]}"
    return replace(turn, text=text, spans=(*before, *moved))


def _put(turns: List[Turn], place: int, state: State) -> None:
    """Correct the state at `place`, and carry the correction into later turns that repeat the wrong
    value; else the next turn would teach the error again.
    """
    wrong = turns[place].state or State()
    tracked, same_intent = wrong.values, True
    for later in range(place + 1, len(turns)):
        then = turns[later].state
        if then is None:
            continue
        same_intent = same_intent and then.active_intent == wrong.active_intent
        if same_intent:
            then = replace(then, active_intent=state.active_intent)
        values = {}
        for slot in dict.fromkeys([*then.values, *state.values]):
            kept = then.values.get(slot) == tracked.get(slot)
            value = (state if kept else then).values.get(slot)
            if value is not None:
                values[slot] = value
        turns[later] = replace(turns[later], state=replace(then, values=values))
    turns[place] = replace(turns[place], state=state)
