"""A domain's support replies, delexicalised, each with the situation that it answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, State, Turn
from rasa_onramp.generator.asking import asked_slots, worded_slots
from rasa_onramp.generator.delexicalise import delexicalise
from rasa_onramp.generator.quantities import MONEY
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.generator.spotting import yes_or_no
from rasa_onramp.generator.templates import Placeholder, Template

__all__ = ["SupportReply", "constants_of", "data_of", "plain_slots_of", "support_replies"]

_MONEY = re.compile(MONEY, re.IGNORECASE)
_MONEY_BEFORE = re.compile(rf"(?:{MONEY})\s*$", re.IGNORECASE)
_MONEY_AFTER = re.compile(rf"\s*(?:{MONEY})", re.IGNORECASE)


@dataclass(frozen=True)
class SupportReply:
    """A system turn of a support dialogue: its template, what it answered and what it asks for.

    `wording` are the slots that it may speak of in words rather than by a value: those that are
    true, false, 1 or "any will do" where it was said; `facts` what is true or false of the row
    that it speaks of, and that it may tell in words, too. `known` says whether state and results
    held all that it states; one that isn't an `example` is neither said again nor learned. `ends`:
    it is the last of its dialogue, asks for nothing and answers a turn that wanted nothing, as a
    goodbye does. `offers` are the slots whose listed values it names side by side; `leads_to` is
    the next action for the same intent in its dialogue.
    """

    dialogue: str  # the id of the one that it stands in
    number: int  # of its turn, counted from 0
    template: Template
    situation: Situation
    asks: FrozenSet[str]
    wording: FrozenSet[str]
    first_row: int  # the first result row that it states; else the one in focus, else 0
    known: bool
    ends: bool = False
    facts: FrozenSet[Tuple[str, str]] = frozenset()
    offers: FrozenSet[str] = frozenset()
    leads_to: Optional[str] = None
    example: bool = True

    @property
    def source(self) -> str:
        """Where it is from: "dialogue id#number"."""
        return f"{self.dialogue}#{self.number}"

    @cached_property
    def states(self) -> FrozenSet[str]:
        """The slots whose values it states."""
        return frozenset(placeholder.slot for placeholder in self.template.placeholders)

    @cached_property
    def answers(self) -> FrozenSet[str]:
        """The slots that it tells the user something of: by a value, a choice, or in words."""
        return self.states | self.offers | {slot for slot, _ in self.facts}

    @cached_property
    def offered(self) -> FrozenSet[str]:
        """The slots for which it offers what was found: "Would you like the time that I found?" """
        return self.asks & self.situation.slots_found

    def tells_each(self, slot: str, now: Situation) -> bool:
        """Whether it would state a slot of each row that a question may be about."""
        moved = self.row_now(now) - self.first_row
        return {row + moved for row in self.template.rows_of(slot)}.issuperset(now.offers)

    def row_now(self, now: Situation) -> int:
        """The row of `now`'s that it would speak of; there need not be one.

        A reply about the row in focus, or about the next one, is again about that; the only row is
        in focus.
        """
        focus = self.situation.row
        if len(now.rows) < 2 and self.first_row == focus:
            return 0
        if now.row is None or len(now.rows) < 2:
            return self.first_row if _stated_rows(self.template) else now.row or 0
        return now.row + (self.first_row - focus if focus is not None else 0)


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
                focus=situation.row,
            )
            template, offers = _with_offers_spelt_out(schema, template)
            after = turns[number + 1].state if number + 1 < len(turns) else None
            asks = asked_slots(schema, template, situation.state, after)
            first_row = min(_stated_rows(template), default=situation.row or 0)
            replies.append(
                SupportReply(
                    dialogue=dialogue.id,
                    number=number,
                    template=template,
                    situation=situation,
                    asks=asks,
                    wording=worded_slots(template, situation.state),
                    first_row=first_row,
                    known=all(each.origin != "own" for each in template.placeholders),
                    ends=number == last and not asks and situation.wants_nothing,
                    facts=_facts(template, situation, first_row),
                    offers=offers,
                    leads_to=_next_action(turns[number + 1 :], situation.state.active_intent),
                    example=number >= dialogue.history,
                )
            )
    return tuple(replies)


def _next_action(turns: Sequence[Turn], intent: Optional[str]) -> Optional[str]:
    for turn in turns:
        if turn.state is not None and turn.state.active_intent != intent:
            return None
        if turn.action is not None:
            return turn.action
    return None


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


def plain_slots_of(replies: Sequence[SupportReply]) -> FrozenSet[str]:
    """The slots whose values the replies state, but never as an amount of money."""
    stated, amounts = set(), set()
    for template in (reply.template for reply in replies):
        for placeholder, surface in zip(template.placeholders, template.surfaces):
            stated.add(placeholder.slot)
            if _MONEY.search(surface):
                amounts.add(placeholder.slot)
        amounts.update(_beside_money(template))
    return frozenset(stated - amounts)


def _beside_money(template: Template) -> Iterator[str]:
    """The slots whose values stand beside a currency that isn't marked with them."""
    parts = ["", *template.parts, ""]
    for before, part, after in zip(parts, parts[1:], parts[2:]):
        if isinstance(part, Placeholder) and (
            (isinstance(before, str) and _MONEY_BEFORE.search(before))
            or (isinstance(after, str) and _MONEY_AFTER.match(after))
        ):
            yield part.slot


def _stated_rows(template: Template) -> List[int]:
    return [each.row for each in template.placeholders if each.origin in ("results", "either")]


def _facts(template: Template, situation: Situation, place: int) -> FrozenSet[Tuple[str, str]]:
    """What is true or false of a row, and may be told in words."""
    row = situation.row_at(place)
    yes_no = State({slot: (value,) for slot, value in row.items() if yes_or_no(value)})
    # a row has many such slots, and half a name is soon said: "you're welcome" of "pets_welcome"
    worded = worded_slots(template, yes_no, whole=True)
    # "Yes, it is." names none, and answers the question all the same
    asked = (situation.requested & set(yes_no.values)) - set(template.slots)
    return frozenset((slot, row[slot]) for slot in worded | asked)


def _with_offers_spelt_out(schema: Schema, template: Template) -> Tuple[Template, FrozenSet[str]]:
    """Make listed values that the bot offers side by side part of the text; and their slots."""
    own: Dict[str, Set[str]] = {}
    for placeholder, surface in zip(template.placeholders, template.surfaces):
        if placeholder.origin == "own":
            own.setdefault(placeholder.slot, set()).add(surface)
    listed = {slot.name for slot in schema.slots if slot.categorical}
    offered = frozenset(s for s, values in own.items() if s in listed and len(values) > 1)
    if not offered:
        return template, offered
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
    return Template(tuple(parts), tuple(kept)), offered
