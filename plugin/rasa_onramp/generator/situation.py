"""What a reply answers: what a turn of a support dialogue and the turn at hand have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Schema, State, Turn
from rasa_onramp.generator.focus import READ, focus_of
from rasa_onramp.generator.sameness import agrees
from rasa_onramp.generator.spotting import Source, find_sources, plain_values

__all__ = ["READ_OUT", "Situation", "missing_slots", "relevant_slots", "situate"]

#: More than so many results at once are not read.
READ_OUT = 3

#: Whether there is more, and that there is.
_MORE = re.compile(r"\b(?:any|some)thing (?:else|more)\b[^.?!]*\?\W*$", re.IGNORECASE)
_THERE_IS = re.compile(
    r"\W*(?:(?:yes|yeah|yep|yup|sure|ok|okay|actually|please|there is|(?:just )?one (?:more )?"
    r"thing)\b\W*)+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Situation:
    """The turn before a reply.

    `newly_set` are the slots that it gave a new value, `new_intent` whether it changed the intent,
    `missing` the active intent's required slots without a value, in order. `found` is None where no
    action was executed, else whether it returned rows. `rows` are those of the last action that was
    executed so far; `row` is the one that the talk is about, None where that is not known; `agrees`
    says that the first row may have the state's values. `done` is the last action, if it was
    executed for what is wanted and nothing is new since. `told` are the rows that the bot told
    last, in its order, if they are several and none of them is meant in particular. `cleared`: it
    emptied a slot.
    """

    user: str
    system: str
    state: State
    in_scope: bool
    action: Optional[str]
    found: Optional[bool]
    rows: Tuple[Mapping[str, str], ...]
    row: Optional[int]
    agrees: bool
    newly_set: FrozenSet[str]
    new_intent: bool
    missing: Tuple[str, ...]
    done: Optional[str] = None
    told: Tuple[int, ...] = ()
    cleared: bool = False

    def row_at(self, number: int) -> Mapping[str, str]:
        """A row; empty where there is none of this number."""
        return self.rows[number] if 0 <= number < len(self.rows) else {}

    def knows(self, slot: str) -> bool:
        """Whether the row in focus (the first, where none is) or the state has a value for it."""
        row = self.row_at(self.row or 0)
        return bool(plain_values(row.get(slot)) or plain_values(self.state.values.get(slot)))

    @property
    def slots_found(self) -> FrozenSet[str]:
        """The slots that the rows tell of."""
        return frozenset(slot for row in self.rows for slot in row)

    @property
    def offers(self) -> Tuple[int, ...]:
        """The rows that a question may be about: those told last, and where the bot told of none in
        particular, the first ones; none where one is meant, or a call has just been made.
        """
        if self.action is not None:
            return ()
        first = range(len(self.rows)) if self.row is None else ()
        return (self.told or tuple(first))[:READ_OUT]

    @property
    def asked_of_each(self) -> FrozenSet[str]:
        """The slots that the user asks to be told and by which the offers differ."""
        rows = [self.row_at(number) for number in self.offers]
        return frozenset(
            slot for slot in self.requested if len({row.get(slot) for row in rows}) > 1
        )

    @property
    def brings_news(self) -> bool:
        """Whether the turn set or emptied a slot, or changed the intent."""
        return bool(self.newly_set) or self.cleared or self.new_intent

    @property
    def wants_nothing(self) -> bool:
        """Whether the turn is the domain's, but brings no news, asks nothing and led to no call."""
        return self.in_scope and not (self.brings_news or self.requested or self.action)

    @property
    def wants_more(self) -> bool:
        """Whether it says yes and no more to "Is there anything else?", which ends nothing."""
        return bool(_MORE.search(self.system) and _THERE_IS.fullmatch(self.user[:READ]))

    @property
    def requested(self) -> FrozenSet[str]:
        """The slots that the user asks to be told."""
        return frozenset(self.state.requested_slots) if self.in_scope else frozenset()


def situate(
    schema: Schema,
    turns: Sequence[Turn],
    state: Optional[State],
    results: Sequence[Mapping[str, Any]] = (),
    action: Optional[str] = None,
    before: Optional[State] = None,
) -> Situation:
    """The situation after `turns`, which end in a user turn that left the domain in `state`.

    `state` is None where the turn says nothing to the domain. `results` are `action`'s; where no
    action was executed and none are given, the last ones in `turns` still hold. Earlier user turns
    say by their states what the last one changed; where none has a state, `before`, the state that
    it found, says it, and without that its text.
    """
    earlier = turns[:-1]
    states = [turn.state for turn in earlier if turn.is_user and turn.state is not None]
    if not states and before is not None:
        states = [before]
    now = state if state is not None else states[-1] if states else State()
    rows: Tuple[Mapping[str, str], ...] = tuple(
        {slot: str(value) for slot, value in row.items() if value is not None} for row in results
    )
    said = [turn for turn in earlier if not turn.is_user]
    since = max((place for place, turn in enumerate(said, 1) if turn.action), default=0)
    last = said[since - 1] if since else None  # that executed an action
    if action is None and last is not None:
        rows = rows or tuple(last.results)
        rows = () if _of_something_else(schema, last, rows, now) else rows
        if state is not None and len(rows) < 2:
            taken = _taken(said[: since - 1], last, state)
            row = rows[0] if rows else {}
            more = {slot: value for slot, value in taken.items() if slot not in row}
            rows = ({**row, **more},) if more else rows
    rows = _telling(schema, rows, action or (last.action if last is not None else None))
    after = (*turns[1:-1], replace(turns[-1], state=state))
    pairs = [(turn, then) for turn, then in zip(earlier, after) if not turn.is_user]
    shown = pairs[max(since - 1, 0) :] if action is None else []
    focus = focus_of(rows, now, shown)
    return Situation(
        user=turns[-1].text,
        system=said[-1].text if said else "",
        state=now,
        in_scope=state is not None,
        action=action,
        found=bool(rows) if action is not None else None,
        rows=rows,
        row=focus.row,
        agrees=not rows or agrees(rows[0], now.values),
        newly_set=_newly_set(now, states, turns) if state is not None else frozenset(),
        new_intent=state is not None and _new_intent(state, states),
        missing=missing_slots(schema, now),
        done=_done(state, turns) if action is None and state is not None else None,
        told=focus.told,
        cleared=state is not None and _cleared(state, states),
    )


def missing_slots(schema: Schema, state: State) -> Tuple[str, ...]:
    """The required slots of the active intent that have no value, in the schema's order."""
    for intent in schema.intents:
        if intent.name == state.active_intent:
            return tuple(slot for slot in intent.required_slots if not state.values.get(slot))
    return ()


def relevant_slots(schema: Schema, state: State) -> FrozenSet[str]:
    """The slots that the active intent takes; all, where there is none or it names none."""
    for intent in schema.intents:
        if intent.name == state.active_intent and (intent.required_slots or intent.optional_slots):
            return frozenset(intent.required_slots) | frozenset(intent.optional_slots)
    return frozenset(slot.name for slot in schema.slots)


def _of_something_else(
    schema: Schema, call: Turn, rows: Sequence[Mapping[str, str]], state: State
) -> bool:
    """Whether a call was required to be given another value than the state has now, of which no row
    says anything: the rows are of another parcel.
    """
    required = {
        slot for each in schema.actions if each.name == call.action for slot in each.required_slots
    }
    told = {slot for row in rows for slot in row}
    given = {slot: call.parameters[slot] for slot in (required - told) & call.parameters.keys()}
    return not agrees(given, state.values)


def _taken(calls: Sequence[Turn], last: Turn, state: State) -> Dict[str, str]:
    """What the user asks to be told of the offer that the last call took, a row of an earlier one:
    the price of the plan that was switched to.

    Its parameters take what the earlier call returned, and wasn't given. Of anything else who knows
    whether it still holds: a delivery that was moved has another day.
    """
    asked = frozenset(state.requested_slots)
    for call in reversed(calls):
        rows: List[Mapping[str, str]] = []
        for row in call.results if asked else ():
            rest = {slot: value for slot, value in row.items() if slot not in asked}
            picked = (row.keys() & last.parameters.keys()) - call.parameters.keys()
            given = {slot: (last.parameters[slot],) for slot in picked}
            if given and agrees(row, given) and agrees(rest, state.values):
                rows.append(row)
        if len(rows) == 1:
            return {slot: value for slot, value in rows[0].items() if slot in asked}
    return {}


def _telling(
    schema: Schema, rows: Sequence[Mapping[str, str]], action: Optional[str]
) -> Tuple[Mapping[str, str], ...]:
    """The rows, of which only the schema's slots are spoken of, without those that only acknowledge
    a call that returns nothing: {"ok": "True"}. Of another call such a row says that it found
    something.
    """
    slots = {slot.name for slot in schema.slots}
    known = ({slot: value for slot, value in row.items() if slot in slots} for row in rows)
    acknowledges = any(each.name == action and not each.result_slots for each in schema.actions)
    return tuple(row for row in known if row or not acknowledges)


def _done(state: State, turns: Sequence[Turn]) -> Optional[str]:
    """The last action in `turns` if it was executed in a state that this one adds nothing to."""
    called = max((place for place, turn in enumerate(turns) if turn.action), default=0)
    before = [turn.state for turn in turns[:called] if turn.is_user and turn.state is not None]
    if not before or _newly_set(state, before, turns):
        return None
    if _cleared(state, before) or _new_intent(state, before):
        return None
    return turns[called].action


def _new_intent(state: State, states: Sequence[State]) -> bool:
    before = states[-1].active_intent if states else None
    return state.active_intent not in (None, before)


def _cleared(state: State, states: Sequence[State]) -> bool:
    before = states[-1].values if states else {}
    return any(values and not state.values.get(slot) for slot, values in before.items())


def _newly_set(state: State, states: Sequence[State], turns: Sequence[Turn]) -> FrozenSet[str]:
    if states or not any(turn.is_user for turn in turns[:-1]):
        before = states[-1].values if states else {}
        return frozenset(
            slot for slot, values in state.values.items() if values and before.get(slot) != values
        )
    sources = [
        Source(slot, value, value)
        for slot, values in state.values.items()
        for value in plain_values(values)
    ]
    return frozenset(source.slot for _, source in find_sources(turns[-1].text[:READ], sources))
