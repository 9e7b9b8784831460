"""A domain's support replies, delexicalised, each with the situation that it answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, FrozenSet, List, Sequence, Set, Tuple

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema
from rasa_onramp.generator.asking import asked_slots, worded_slots
from rasa_onramp.generator.delexicalise import delexicalise
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.generator.templates import Placeholder, Template

__all__ = ["SupportReply", "constants_of", "data_of", "support_replies"]


@dataclass(frozen=True)
class SupportReply:
    """A system turn of a support dialogue: its template, what it answered and what it asks for.

    `wording` are the slots that it may speak of in words rather than by a value: those that are
    true, false or "any will do" where it was said. `known` says whether state and results held all
    that it states. `ends`: it is the last of its dialogue, asks for nothing and answers a turn that
    wanted nothing, as a goodbye does.
    """

    source: str  # "dialogue id#turn", turns counted from 0
    template: Template
    situation: Situation
    asks: FrozenSet[str]
    wording: FrozenSet[str]
    first_row: int  # the first result row that it states, 0 if none
    known: bool
    ends: bool = False

    @property
    def dialogue(self) -> str:
        """The id of the dialogue that it stands in."""
        return self.source.rpartition("#")[0]

    @property
    def states(self) -> FrozenSet[str]:
        """The slots whose values it states."""
        return frozenset(placeholder.slot for placeholder in self.template.placeholders)


def support_replies(schema: Schema, dialogues: Sequence[Dialogue]) -> Tuple[SupportReply, ...]:
    """Every system turn of the dialogues that follows a user turn, in their order."""
    hints = {slot.name: slot.description for slot in schema.slots}
    replies = []
    for dialogue in dialogues:
        turns = dialogue.turns
        last = max((n for n, turn in enumerate(turns) if not turn.is_user), default=0)
        for number in range(1, len(turns)):
            turn, before = turns[number], turns[number - 1]
            if turn.is_user or not before.is_user:
                continue
            situation = situate(schema, turns[:number], before.state, turn.results, turn.action)
            values = {**{k: (v,) for k, v in turn.parameters.items()}, **situation.state.values}
            template = delexicalise(
                turn.text,
                values,
                situation.rows,
                turn.spans,
                hints,
                fresh=turn.action is not None,
            )
            template = _with_offers_spelt_out(schema, template)
            after = turns[number + 1].state if number + 1 < len(turns) else None
            asks = asked_slots(schema, template, situation.state, after)
            rows = [
                each.row for each in template.placeholders if each.origin in ("results", "either")
            ]
            replies.append(
                SupportReply(
                    source=f"{dialogue.id}#{number}",
                    template=template,
                    situation=situation,
                    asks=asks,
                    wording=worded_slots(template, situation.state),
                    first_row=min(rows, default=0),
                    known=all(each.origin != "own" for each in template.placeholders),
                    ends=number == last and not asks and situation.wants_nothing,
                )
            )
    return tuple(replies)


def data_of(dialogues: Sequence[Dialogue]) -> Set[str]:
    """The values that come from data: all of API results, and states' values with a digit."""
    data: Set[str] = set()
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        data.update(str(value) for row in turn.results for value in row.values() if value)
        values = turn.state.values.values() if turn.state is not None else ()
        data.update(value for each in values for value in each if re.search(r"\d", value))
    return {value for value in data if value.strip()} - {"True", "False", DONTCARE}


def constants_of(replies: Sequence[SupportReply]) -> Tuple[str, ...]:
    """The literal texts of the replies, those of one dialogue together."""
    texts: Dict[str, List[str]] = {}
    for reply in replies:
        texts.setdefault(reply.dialogue, []).append(" \u25a1 ".join(reply.template.literals))
    return tuple("\n".join(said) for said in texts.values())


def _with_offers_spelt_out(schema: Schema, template: Template) -> Template:
    """Make listed values that the bot offers side by side part of the text."""
    own: Dict[str, Set[str]] = {}
    for placeholder, surface in zip(template.placeholders, template.surfaces):
        if placeholder.origin == "own":
            own.setdefault(placeholder.slot, set()).add(surface)
    listed = {slot.name for slot in schema.slots if slot.categorical}
    offered = {slot for slot, values in own.items() if slot in listed and len(values) > 1}
    if not offered:
        return template
    surfaces = iter(template.surfaces)
    parts: List = []
    kept = []
    for part in template.parts:
        surface = next(surfaces) if isinstance(part, Placeholder) else part
        if isinstance(part, Placeholder) and not (part.slot in offered and part.origin == "own"):
            parts.append(part)
            kept.append(surface)
        elif parts and isinstance(parts[-1], str):
            parts[-1] += surface
        else:
            parts.append(surface)
    return Template(tuple(parts), tuple(kept))
