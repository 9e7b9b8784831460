"""Which result row the talk is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import AbstractSet, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import State, Turn
from rasa_onramp.generator.counting import counted
from rasa_onramp.generator.forms import WEAK_FORMS, form_of
from rasa_onramp.generator.pointing import pointed_at, rules_out
from rasa_onramp.generator.sameness import agrees
from rasa_onramp.generator.spotting import (
    Finder,
    Region,
    Source,
    longest,
    may_be_a_word,
    named_near,
    overlaps,
    sources_of,
    tokens,
)
from rasa_onramp.generator.units import holds, unit_of

__all__ = ["READ", "Focus", "focus_of"]

#: Characters of a user's text that are looked through for values. The tracker reads hardly more.
READ = 500


@dataclass(frozen=True)
class Focus:
    """`row` is the row that the talk is about, None where none is clear; `told` the rows that the
    bot told last, in its order, if they are several and none of them is meant in particular.
    """

    row: Optional[int] = None
    told: Tuple[int, ...] = ()


def focus_of(
    rows: Sequence[Mapping[str, str]], state: State, shown: Sequence[Tuple[Turn, Turn]]
) -> Focus:
    """The row that the user chose, else the last one that the user pointed at or named or that was
    shown. `shown` are the bot's turns, each with the one after it.
    """
    if len(rows) < 2:
        return Focus(0 if rows and shown else None)
    # what all rows share chooses none, and need not be spelt as in the state
    differing = {slot for row in rows for slot in row if len({r.get(slot) for r in rows}) > 1}
    chosen = [
        number
        for number, row in enumerate(rows)
        if agrees({slot: row[slot] for slot in row if slot in differing}, state.values)
    ]
    if len(chosen) == 1:
        return Focus(chosen[0])
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
                return Focus(min(meant))
        seen = [row for row in dict.fromkeys(each.row for each in mentions) if row in candidates]
        if seen:
            return Focus(max(seen), tuple(seen) if turn is shown[-1][0] and seen[1:] else ())
    return Focus(chosen[0] if 0 < len(chosen) < len(rows) else None)


def _named(turn: Turn, rows: Sequence[Mapping[str, str]], slots: AbstractSet[str]) -> Set[int]:
    """The rows that a user names by a value of `slots` that isn't asked about. A bare number names
    one only beside its slot's name: "4" may be of people, too.
    """
    text = turn.text[:READ]
    asked = turn.state.requested_slots if turn.state is not None else ()
    return {
        each.row
        for each in _mentions(text, Finder(sources_of({}, rows)), len(rows))
        for slot in (each.slots & slots).difference(asked)
        if not all(token.like_num for token in tokens(text[slice(*each.region)]))
        or named_near(slot, text, each.region)
        if not rules_out(text[: each.region[0]])
    }


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
