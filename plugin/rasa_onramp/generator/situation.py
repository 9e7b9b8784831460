"""What a reply answers: what a turn of a support dialogue and the turn at hand have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import AbstractSet, Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import Schema, State, Turn
from rasa_onramp.generator.counting import counted
from rasa_onramp.generator.forms import WEAK_FORMS, form_of
from rasa_onramp.generator.pointing import pointed_at, rules_out
from rasa_onramp.generator.spotting import (
    Finder,
    Region,
    Source,
    find_sources,
    longest,
    may_be_a_word,
    named_near,
    overlaps,
    plain_values,
    sources_of,
    tokens,
)
from rasa_onramp.generator.units import holds, unit_of

__all__ = ["Situation", "missing_slots", "relevant_slots", "situate"]

#: Characters of a user's text that are looked through for values. The tracker reads hardly more.
_READ = 500


@dataclass(frozen=True)
class Situation:
    """The turn before a reply.

    `newly_set` are the slots that it gave a new value, `new_intent` whether it changed the intent,
    `missing` the active intent's required slots without a value, in order. `found` is None where no
    action was executed, else whether it returned rows. `rows` are those of the last action that was
    executed so far; `row` is the one that the talk is about, None where that is not known; `agrees`
    says that the first row has no other value than the state. `done`: an earlier action was
    executed for what is wanted, and nothing is new since.
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
    done: bool = False

    @property
    def brings_news(self) -> bool:
        """Whether the turn set a slot or changed the intent."""
        return bool(self.newly_set) or self.new_intent

    @property
    def wants_nothing(self) -> bool:
        """Whether the turn is the domain's, but brings no news, asks nothing and led to no call."""
        return self.in_scope and not (self.brings_news or self.requested or self.action)

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
) -> Situation:
    """The situation after `turns`, which end in a user turn that left the domain in `state`.

    `state` is None where the turn says nothing to the domain. `results` are `action`'s; where no
    action was executed and none are given, the last ones in `turns` still hold. Earlier user turns
    say by their states what the last one changed; where none has a state, its text says it.
    """
    earlier = turns[:-1]
    states = [turn.state for turn in earlier if turn.is_user and turn.state is not None]
    now = state if state is not None else states[-1] if states else State()
    rows: Tuple[Mapping[str, str], ...] = tuple(
        {slot: str(value) for slot, value in row.items() if value is not None} for row in results
    )
    said = [turn for turn in earlier if not turn.is_user]
    since = max((place for place, turn in enumerate(said, 1) if turn.action), default=0)
    last = said[since - 1] if since else None  # that executed an action
    if action is None and last is not None:
        rows = rows or tuple(last.results)
    rows = _telling(schema, rows, action or (last.action if last is not None else None))
    after = (*turns[1:-1], replace(turns[-1], state=state))
    pairs = [(turn, then) for turn, then in zip(earlier, after) if not turn.is_user]
    shown = pairs[max(since - 1, 0) :] if action is None else []
    return Situation(
        user=turns[-1].text,
        system=said[-1].text if said else "",
        state=now,
        in_scope=state is not None,
        action=action,
        found=bool(rows) if action is not None else None,
        rows=rows,
        row=_row_in_focus(rows, now, shown),
        agrees=not rows or _agrees(rows[0], now),
        newly_set=_newly_set(now, states, turns) if state is not None else frozenset(),
        new_intent=state is not None and _new_intent(state, states),
        missing=missing_slots(schema, now),
        done=action is None and state is not None and _done(state, turns),
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


def _telling(
    schema: Schema, rows: Sequence[Mapping[str, str]], action: Optional[str]
) -> Tuple[Mapping[str, str], ...]:
    """The rows without those that only acknowledge a call that returns nothing: {"ok": "True"}."""
    if not any(each.name == action and not each.result_slots for each in schema.actions):
        return tuple(rows)
    slots = {slot.name for slot in schema.slots}
    return tuple(row for row in rows if not slots.isdisjoint(row))


def _done(state: State, turns: Sequence[Turn]) -> bool:
    """Whether the last action in `turns` was executed in a state that this one adds nothing to."""
    called = max((place for place, turn in enumerate(turns) if turn.action), default=0)
    before = [turn.state for turn in turns[:called] if turn.is_user and turn.state is not None]
    return bool(before) and not (_newly_set(state, before, turns) or _new_intent(state, before))


def _new_intent(state: State, states: Sequence[State]) -> bool:
    before = states[-1].active_intent if states else None
    return state.active_intent not in (None, before)


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
    return frozenset(source.slot for _, source in find_sources(turns[-1].text[:_READ], sources))


def _row_in_focus(
    rows: Sequence[Mapping[str, str]], state: State, shown: Sequence[Tuple[Turn, Turn]]
) -> Optional[int]:
    """The row that the user chose, else the last one that the user pointed at or named or that was
    shown; None if none is clear. `shown` are the bot's turns, each with the one after it.
    """
    if len(rows) < 2:
        return 0 if rows and shown else None
    # what all rows share chooses none, and need not be spelt as in the state
    differing = {slot for row in rows for slot in row if len({r.get(slot) for r in rows}) > 1}
    chosen = [
        number
        for number, row in enumerate(rows)
        if _agrees({slot: row[slot] for slot in row if slot in differing}, state)
    ]
    if len(chosen) == 1:
        return chosen[0]
    candidates = set(chosen or range(len(rows)))
    finder = Finder(sources_of(state.values, rows))
    told = [_mentions(turn.text, finder, len(rows)) for turn, _ in shown]
    told_by = {slot for mentions in told for each in mentions for slot in each.slots}
    for (turn, then), mentions in zip(reversed(shown), reversed(told)):
        if then.is_user:
            in_order = list(dict.fromkeys(each.row for each in mentions))
            pointed = candidates & {pointed_at(then.text, in_order, turn.text)}
            meant = pointed or candidates & _named(then, rows, told_by)
            if len(meant) == 1:
                return min(meant)
        seen = {each.row for each in mentions} & candidates
        if seen:
            return max(seen)
    return chosen[0] if 0 < len(chosen) < len(rows) else None


def _named(turn: Turn, rows: Sequence[Mapping[str, str]], slots: AbstractSet[str]) -> Set[int]:
    """The rows that a user names by a value of `slots` that isn't asked about. A bare number names
    one only beside its slot's name: "4" may be of people, too.
    """
    text = turn.text[:_READ]
    asked = turn.state.requested_slots if turn.state is not None else ()
    return {
        each.row
        for each in _mentions(text, Finder(sources_of({}, rows)), len(rows))
        for slot in (each.slots & slots).difference(asked)
        if not all(token.like_num for token in tokens(text[slice(*each.region)]))
        or named_near(slot, text, each.region)
        if not rules_out(text[: each.region[0]])
    }


def _agrees(row: Mapping[str, str], state: State) -> bool:
    for slot, value in row.items():
        values = plain_values(state.values.get(slot))
        if values and not any(
            value.casefold() == each.casefold()
            or form_of(value, each)
            or form_of(each, value, clock24=True)
            for each in values
        ):
            return False
    return True


@dataclass(frozen=True)
class _Mention:
    """Where a text states what one row only says, in these slots."""

    region: Region
    row: int
    slots: FrozenSet[str]


def _mentions(text: str, sources: Finder, rows: int) -> List[_Mention]:
    """Where a text states what no other row says, nor the state of another slot."""
    counts = counted(text, rows)
    found: Dict[Region, List[Source]] = {}
    for region, source in sources.find(text):
        surface = text[slice(*region)]
        unit = unit_of(text, region)
        if unit is not None and not holds(source.slot, {}, unit[0]):
            continue
        form = (form_of(surface, source.value, source.clock24) or "").partition("|")[0]
        if form not in WEAK_FORMS and not may_be_a_word(surface, source.value):
            found.setdefault(region, []).append(source)
    mentions = []
    for region in longest(found):
        of_rows = {each.row for each in found[region] if each.row is not None}
        slots = frozenset(each.slot for each in found[region] if each.row is not None)
        given = {each.slot for each in found[region] if each.row is None}
        if len(of_rows) == 1 and given <= slots and not overlaps(region, counts):
            mentions.append(_Mention(region, min(of_rows), slots))
    return mentions
