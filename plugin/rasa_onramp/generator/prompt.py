"""What the language model reads: a domain's conversation, turn by turn, each reply after its facts.

    Parcel delivery: find parcels and move deliveries
    User: is my parcel RX4821 here yet
    Facts: track; tracking_number=RX4821; find found 1: status, expected_day
    Like: It arrives {expected_day}. | The parcel is {status}.
    Bot: Your parcel is {status} and should come {expected_day}.

A conversation grows at its end, and is cut at its beginning only now and then, so what was computed
for it once can be kept. Replies are
delexicalised, in the history too; the model sees values only where they decide the wording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import AbstractSet, List, Optional, Sequence

from rasa_onramp.dialogue import DONTCARE, Schema
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation
from rasa_onramp.generator.spotting import yes_or_no

__all__ = [
    "END",
    "EXAMPLES",
    "Exchange",
    "exchange",
    "exchanges",
    "facts",
    "one_line",
    "opening",
]

#: What ends a reply.
END = "\n"

#: How many similar support replies are shown before each reply.
EXAMPLES = 2

_LONGEST_VALUE = 40  # characters
_LONGEST_TEXT = 400


@dataclass(frozen=True)
class Exchange:
    """A user turn as the model reads it, and the reply to it (None where it is to be written).

    `said` says whether the reply can be learned from: whether it is an example, state and results
    held all that it states, and it is whole.
    """

    before: str
    reply: Optional[str] = None
    said: bool = True


def opening(schema: Schema) -> str:
    """What stands before a conversation of a domain."""
    name = re.sub(r"[_\s]+", " ", schema.name).strip()
    return f"{one_line(name)}: {one_line(schema.description)}\n"


def exchange(
    schema: Schema, now: Situation, pool: ReplyPool, *, leave_out: Sequence[str] = ()
) -> Exchange:
    """The turn at hand, with the most similar replies of `pool` but those of some dialogues."""
    lines = [f"User: {one_line(now.user)}", f"Facts: {facts(schema, now)}"]
    like = [r.template.text for r in pool.similar(now, EXAMPLES, leave_out=leave_out)]
    if like:
        lines.append(f"Like: {' | '.join(one_line(text) for text in like)}")
    return Exchange("\n".join([*lines, "Bot:"]))


def exchanges(
    schema: Schema,
    replies: Sequence[SupportReply],
    pool: ReplyPool,
    *,
    leave_out: Sequence[str] = (),
) -> List[Exchange]:
    """A dialogue's exchanges, from its replies in their order."""
    found = []
    for reply in replies:
        asked = exchange(schema, reply.situation, pool, leave_out=leave_out)
        text = reply.template.text
        whole = len(text) <= _LONGEST_TEXT
        learned = reply.known and reply.example and whole
        found.append(Exchange(asked.before, one_line(text), learned))
    return found


def facts(schema: Schema, now: Situation) -> str:
    """What the bot knows at a turn that bears on its reply, in one line."""
    if not now.in_scope:
        return "out of scope"
    found: List[str] = []
    if now.state.active_intent:
        found.append(now.state.active_intent + (" (new)" if now.new_intent else ""))
    for slot in (slot.name for slot in schema.slots if slot.name in now.newly_set):
        values = now.state.values.get(slot) or ("",)
        found.append(f"{slot}={_short(values[0])}")
    asked = _names(schema, now.requested)
    if asked:
        found.append(f"asks {asked}")
    if now.missing:
        found.append("missing " + ", ".join(now.missing))
    if now.action is not None:
        found.append(_call(schema, now.action, now))
    elif now.rows:
        found.append("row " + (f"{now.row + 1}" if now.row is not None else "?"))
    return "; ".join(found)


def _call(schema: Schema, action: str, now: Situation) -> str:
    if not now.rows and not schema.results_of(action):
        return f"{action} done"
    if not now.rows:
        return f"{action} found nothing"
    row = now.rows[0]
    # what is true or false decides the wording; other values are placeholders
    held = [f"{k}={v}" if yes_or_no(v) else k for k, v in row.items() if v]
    differs = "" if now.agrees else ", other than wanted"
    return f"{action} found {len(now.rows)}{differs}: {', '.join(held)}"


def _names(schema: Schema, slots: AbstractSet[str]) -> str:
    return ", ".join(slot.name for slot in schema.slots if slot.name in slots)


def _short(value: str) -> str:
    if value == DONTCARE:
        return "any"
    return re.sub(r"[;|]", " ", one_line(value))[:_LONGEST_VALUE]  # so that it stays one fact


def one_line(text: str) -> str:
    """One line, so that a text can't pass for another part of the prompt."""
    return re.sub(r"\s+", " ", text).strip()[:_LONGEST_TEXT]
