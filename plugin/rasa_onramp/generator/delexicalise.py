"""Turning a reply into a template with Rasa's placeholders.

"Parcel RX4821 arrives Friday at 5 pm" with the values of its turn becomes
"Parcel {tracking_number} arrives {day} at {time}".
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

from rasa_onramp.dialogue import Span
from rasa_onramp.generator.counting import count_form, counted, speaks_of_counts
from rasa_onramp.generator.forms import VERBATIM, WEAK_FORMS, form_of
from rasa_onramp.generator.quantities import NUMBER_WORDS
from rasa_onramp.generator.spotting import (
    Region,
    Source,
    Values,
    find_sources,
    longest,
    may_be_a_word,
    overlaps,
    sources_of,
    stem,
    tokens,
    words_near,
)
from rasa_onramp.generator.templates import COUNT, Placeholder, Template
from rasa_onramp.generator.units import holds, unit_of

__all__ = ["delexicalise"]

#: Values of a reply that become placeholders, marked ones and others: the first so many. Each looks
#: for the others that stand near it.
_MOST = 200

#: Before a number of people or things, not of results.
_GIVEN = re.compile(r"\b(?:for|(?:party|group|table|family) of)\s+$", re.IGNORECASE)


def delexicalise(
    text: str,
    values: Values,
    results: Sequence[Mapping[str, Any]] = (),
    spans: Sequence[Span] = (),
    hints: Optional[Mapping[str, str]] = None,
    *,
    fresh: bool = True,
    focus: Optional[int] = None,
) -> Template:
    """Replace the values that stand in `text` by placeholders.

    `values` maps slots to a value or to equivalent values, `results` are the rows that an API call
    returned, `spans` the marks on the text, which come first. Of two values that overlap the longer
    counts; of two slots with one value, the one with a word of its name, or of its description in
    `hints`, nearby; of rows that share one, the row named nearby, else `focus`, which the talk is
    about, or the first. `fresh` says that the results have just come in, so that they count before
    the state where both hold a value.
    """
    sources = sources_of(values, results)
    row = focus or 0
    found = _marked(text, sources, spans, fresh, row)
    found.update(_unmarked(text, sources, len(results), found, hints or {}, fresh, row))
    for region, form in counted(text, len(results)).items():
        if not overlaps(region, found):
            found[region] = Placeholder(COUNT, form, "count")
    parts: List[Union[str, Placeholder]] = []
    position = 0
    for start, end in sorted(found):
        if start > position:
            parts.append(text[position:start])
        parts.append(found[start, end])
        position = end
    if position < len(text):
        parts.append(text[position:])
    return Template(tuple(parts), tuple(text[start:end] for start, end in sorted(found)))


def _marked(
    text: str, sources: Sequence[Source], spans: Sequence[Span], fresh: bool, focus: int
) -> Dict[Region, Placeholder]:
    slots: Dict[Region, str] = {}
    by_region: Dict[Region, List[Source]] = {}
    for span in sorted(spans, key=lambda span: (span.start, -span.end))[:_MOST]:
        region = (span.start, span.end)
        if not 0 <= span.start < span.end <= len(text) or overlaps(region, slots):
            continue
        surface = text[span.start : span.end]
        of_slot = [source for source in sources if source.slot == span.slot]
        holders = [each for each in of_slot if form_of(surface, each.value, each.clock24)]
        slots[region] = span.slot
        by_region[region] = holders or [each for each in of_slot if _nearly(surface, each.value)]
    found: Dict[Region, Placeholder] = {}
    for region in _one_row_first(by_region):
        # A row that has been named already is not named again by the same slot.
        told = (each for each in found.values() if each.origin in ("results", "either"))
        named = {each.row for each in told if each.slot == slots[region]}
        row = _only_row(text, region, found)
        about = focus if row is None else row
        holders = sorted(
            by_region[region],
            key=lambda source: (
                source.row is None,
                source.row in named,
                source.row != about,
                source.row or 0,
            ),
        )
        own = Placeholder(slots[region], VERBATIM, "own")
        surface = text[slice(*region)]
        found[region] = _placeholder(surface, holders, fresh) if holders else own
    return found


def _unmarked(
    text: str,
    sources: Sequence[Source],
    rows: int,
    marked: Mapping[Region, Placeholder],
    hints: Mapping[str, str],
    fresh: bool,
    focus: int,
) -> Dict[Region, Placeholder]:
    by_region: Dict[Region, List[Source]] = {}
    for region, source in find_sources(text, sources):
        by_region.setdefault(region, []).append(source)
    regions = [region for region in longest(by_region) if not overlaps(region, marked)]
    found: Dict[Region, Placeholder] = {}
    for region in _one_row_first({region: by_region[region] for region in regions[:_MOST]}):
        surface = text[region[0] : region[1]]
        near = words_near(text, region)
        unit = unit_of(text, region)
        # Long after the call, and in "for 2", it is rather what the user gave.
        count = fresh and count_form(surface, rows) is not None and speaks_of_counts(near)
        count = count and unit is None and not _GIVEN.search(text[: region[0]])
        shared = {
            source: sum(near.get(each, 0) for each in _name_stems(source.slot, hints))
            for source in by_region[region]
        }
        holders = [
            source
            for source in shared
            if _believable(surface, source, shared[source])
            # "2 hours" are no table for 2
            and (unit is None or shared[source] or holds(source.slot, hints, unit[0]))
        ]
        if not holders or (count and not any(shared.values())):
            continue
        row = _row_nearby(text, region, {**marked, **found}, focus)
        holders.sort(
            key=lambda source: (
                -shared[source],
                source.row is None,
                abs((source.row or 0) - row),
            )
        )
        likeliest = [each for each in holders if shared[each] == shared[holders[0]]]
        found[region] = _placeholder(surface, likeliest, fresh)
    return found


def _one_row_first(by_region: Mapping[Region, Sequence[Source]]) -> List[Region]:
    """The regions, those whose value only one row holds first: they tell which row is meant where
    several share a value.
    """

    def shared(region: Region) -> bool:
        return len({source.row for source in by_region[region]} - {None}) > 1

    return sorted(by_region, key=lambda region: (shared(region), region))


def _only_row(text: str, region: Region, found: Mapping[Region, Placeholder]) -> Optional[int]:
    """The row that all placeholders are from, in the same clause if there are any; None if they are
    from several: "Spar and Co-op, both until 9 pm".
    """
    rows = {(apart, row) for apart, _, _, row in _distances(text, region, found)}
    near = {row for apart, row in rows if not apart} or {row for _, row in rows}
    return min(near) if len(near) == 1 else None


def _row_nearby(text: str, region: Region, found: Mapping[Region, Placeholder], focus: int) -> int:
    """The row that the nearest placeholder is from, in the same clause if there is one, else
    `focus`.
    """
    return min(_distances(text, region, found), default=(False, 0, 0, focus))[3]


def _distances(
    text: str, region: Region, found: Mapping[Region, Placeholder]
) -> List[Tuple[bool, int, int, int]]:
    """Of each placeholder from a row: if it is in another clause, how far, where it is, its row."""
    distances = []
    for (start, end), placeholder in found.items():
        if placeholder.origin in ("results", "either"):
            between = text[min(end, region[1]) : max(start, region[0])]
            apart = bool(re.search(r"[;?!]|[,.:](?!\d)", between))  # not the colon of "9:20"
            distances.append((apart, len(between), start, placeholder.row))
    return distances


def _placeholder(surface: str, holders: Sequence[Source], fresh: bool) -> Placeholder:
    """The placeholder for `surface`, whose likeliest holder comes first."""
    best = holders[0]
    in_state = [holder for holder in holders if holder.slot == best.slot and holder.row is None]
    if in_state and not fresh:
        best = in_state[0]
    origin = "state" if best.row is None else "either" if in_state else "results"
    form = form_of(surface, best.preferred, best.clock24) or VERBATIM
    rivals = sorted({holder.slot for holder in holders} - {best.slot})
    shared: Tuple[int, ...] = ()
    if best.row is not None:
        rows = {each.row for each in holders if each.slot == best.slot and each.row is not None}
        shared = tuple(sorted(rows - {best.row}))
    return Placeholder(best.slot, form, origin, best.row or 0, tuple(rivals), shared)


def _believable(surface: str, source: Source, shared_words: float) -> bool:
    """Whether an unmarked `surface` may be taken for the value that it looks like."""
    if may_be_a_word(surface, source.value):
        return False
    form = form_of(surface, source.value, source.clock24) or VERBATIM
    if form.partition("|")[0] in WEAK_FORMS:
        return shared_words > 0
    words = tokens(surface)
    return len(words) > 1 or not words[0].is_stop or surface.lower() in NUMBER_WORDS


def _nearly(surface: str, value: str) -> bool:
    """Whether a marked surface is a value with other capitals, shortened or drawn out."""
    short, long = sorted((surface.casefold(), value.casefold()), key=len)
    # no part of another number: "1:00" isn't "11:00", nor "March 1" a short "March 12"
    whole = rf"(?<!\d)(?<!\d[.,]){re.escape(short)}(?![.,]?\d)"
    return short == long or (len(short) > 3 and re.search(whole, long) is not None)


def _name_stems(slot: str, hints: Mapping[str, str]) -> Set[str]:
    named = {stem(word) for word in re.findall(r"[a-z]{3,}", slot.lower())}
    # "the" stands in most descriptions, and near most numbers
    described = (word for word in tokens(hints.get(slot, "").lower()) if not word.is_stop)
    return named | {stem(word.text) for word in described if word.is_alpha and len(word) > 2}
