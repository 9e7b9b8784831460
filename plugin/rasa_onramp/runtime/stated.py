"""A reply as a turn of the dialogue: which values it states, and where."""

from __future__ import annotations

from itertools import chain
from types import MappingProxyType
from typing import Dict, Mapping, Optional, Sequence

from rasa_onramp.dialogue import Span, Turn
from rasa_onramp.generator import Reply
from rasa_onramp.generator.spotting import Region, find_sources, longest, may_be_a_word, sources_of
from rasa_onramp.generator.units import holds, unit_of
from rasa_onramp.runtime.understanding import Understanding

__all__ = ["system_turn"]


def system_turn(
    reply: Reply,
    understood: Understanding,
    results: Optional[Sequence[Mapping[str, str]]] = None,
    known: Sequence[Mapping[str, str]] = (),
    hints: Mapping[str, str] = MappingProxyType({}),
) -> Turn:
    """The reply as a turn of the dialogue, with the spans of the values that it states.

    `known` are the rows of the call before, of which it speaks where none was made now; `hints` are
    the slots' descriptions.
    """
    rows, text = tuple(results or ()), reply.text
    found: Dict[Region, str] = {}
    # the state comes before what an earlier call found
    both = [sources_of(understood.state.values, rows)]
    both += [sources_of({}, known)] if results is None else []
    for region, source in chain(*(find_sources(text, sources) for sources in both)):
        unit = unit_of(text, region)
        if may_be_a_word(text[slice(*region)], source.value):
            continue
        if unit is None or holds(source.slot, hints, unit[0]):  # "2 hours" are no party of 2
            found.setdefault(region, source.slot)
    called = results is not None
    return Turn(
        speaker="system",
        text=text,
        action=understood.action if called else None,
        parameters=understood.parameters if called else {},
        results=rows,
        spans=tuple(Span(found[region], *region) for region in longest(found)),
    )
