"""Whether a reply states only what the bot knows.

A claim is a number, in digits or in words and with its unit, a time, date or amount of money, a
listed value, or a value that the support dialogues' API results hold. A claim is grounded where it
stands in the state or in the results, in any form, or where the domain's own replies always say it
("open 24 hours"): in literal text, not as the datum of some support dialogue, and, if it is a time,
a date, an amount, a mail address or a link with digits or a query, in more than one dialogue.
Listed values offered side by side are no claims.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import (
    AbstractSet,
    Any,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from rasa_onramp.dialogue import Schema
from rasa_onramp.generator.claims import looks_like_data, quantities
from rasa_onramp.generator.forms import VERBATIM, WEAK_FORMS, form_of
from rasa_onramp.generator.openers import OPENERS
from rasa_onramp.generator.spotting import (
    Finder,
    Region,
    Source,
    Values,
    find_sources,
    first_words,
    longest,
    named_near,
    names,
    overlaps,
    sources_of,
    tokens,
)
from rasa_onramp.generator.units import holds, is_measure, unit_of

__all__ = ["Grounding"]


class Grounding:
    """Checks replies of one domain.

    `data` are the values that the support dialogues' results hold, and the numbers in their states;
    `constants` the literal texts of the domain's own replies, one a dialogue; `plain` the slots
    whose numbers are no amounts of money.
    """

    def __init__(
        self,
        schema: Schema,
        data: Iterable[str] = (),
        constants: Iterable[str] = (),
        plain: AbstractSet[str] = frozenset(),
    ):
        self._plain = plain
        self._hints = {slot.name: slot.description for slot in schema.slots}
        self._data = Finder(Source("", value, value, 0) for value in sorted(set(data)))
        self._listed = Finder(
            Source(slot.name, value, value)
            for slot in schema.slots
            for value in slot.values
            if value not in ("True", "False")
        )
        said: Counter[str] = Counter()
        alike: Set[str] = set()  # numbers with a unit, of which a datum is the number
        self._words = _words_of(schema)
        for text in constants:
            self._words |= {token.lower_ for token in tokens(text)}
            standing = [region for region, _ in self._data.find(text)]
            told = set()
            for region in self._claims(text):
                claim = text[slice(*region)].lower()
                if not overlaps(region, standing):
                    told.add(claim)
                elif is_measure(claim) and region not in standing:
                    told.add(claim)
                    alike.add(claim)
            said.update(told)
        self._constants: FrozenSet[str] = frozenset(
            claim
            for claim, times in said.items()
            if times > 1 or not (claim in alike or looks_like_data(claim))
        )

    def ungrounded(
        self, text: str, values: Values, results: Sequence[Mapping[str, Any]] = ()
    ) -> Tuple[str, ...]:
        """What `text` claims that neither `values` (the state), `results` nor a constant holds."""
        claims = self._claims(text)
        if not claims:
            return ()
        sources = sources_of(values, results)
        if len(results) > 1:
            sources += (Source("", str(len(results)), str(len(results))),)
        known = [
            grounds
            for region, source in find_sources(text, sources)
            for grounds in [self._grounds(source, text, region)]
            if grounds is not None
        ]
        listed = self._listed_in(text)
        settled = {source.slot for source in sources}
        return tuple(
            text[start:end]
            for start, end in claims
            if not any(first <= start and end <= last for first, last in known)
            and not self._always_said(text, (start, end), listed, settled)
        )

    def unknown_names(
        self, text: str, values: Values, results: Sequence[Mapping[str, Any]] = ()
    ) -> Tuple[str, ...]:
        """Capitalised words of `text` that neither `values`, `results`, the schema nor any of the
        domain's own replies holds, nor are ordinary ones that begin a sentence: names that were
        made up.
        """
        known = [region for region, _ in find_sources(text, sources_of(values, results))]
        first = [each for each in first_words(text) if not _ordinary(each)]
        return tuple(
            token.text
            for token in sorted([*names(text), *first], key=lambda token: token.idx)
            if token.lower_ not in self._words
            and not overlaps((token.idx, token.idx + len(token)), known)
        )

    def _always_said(
        self,
        text: str,
        region: Region,
        listed: Mapping[Region, Set[str]],
        settled: Set[str],
    ) -> bool:
        slots = listed.get(region, set())
        if any(_offered(text, region, listed, slot, settled) for slot in slots):
            return True
        surface = text[region[0] : region[1]]
        if slots & settled and not surface.isdigit():
            return False  # another value than the one that has been settled
        return surface.lower() in self._constants

    def _claims(self, text: str) -> List[Region]:
        regions = quantities(text)
        regions += [
            region
            for finder in (self._data, self._listed)
            for region, source in finder.find(text)
            if _telling(text[region[0] : region[1]], source)
        ]
        return longest(regions)

    def _listed_in(self, text: str) -> Dict[Region, Set[str]]:
        found: Dict[Region, Set[str]] = {}
        for region, source in self._listed.find(text):
            found.setdefault(region, set()).add(source.slot)
        return {region: found[region] for region in longest(found)}

    def _grounds(self, source: Source, text: str, region: Region) -> Optional[Region]:
        """What of a text a known value grounds where it stands: two people are no reason to say "2
        hours", two days are one for "2 days", unit included.
        """
        unit = unit_of(text, region)
        if not _vouches(source, text, region, self._plain):
            return None
        if unit is None:
            return region
        return (region[0], unit[1]) if holds(source.slot, self._hints, unit[0]) else None


def _offered(
    text: str,
    region: Region,
    listed: Mapping[Region, Set[str]],
    slot: str,
    settled: AbstractSet[str],
) -> bool:
    """Whether a listed value is offered side by side with others of its slot. Of numbers, and where
    a value is settled, an "or" or nothing must stand between: "2 nights for 3 people" offers none,
    nor does "not in the morning but in the evening".
    """
    others = [each for each, slots in listed.items() if slot in slots and each != region]
    if slot in settled or any(word.like_num for word in tokens(text[region[0] : region[1]])):
        others = [each for each in others if _OFFERING.fullmatch(_between(text, region, each))]
    return bool(others)


def _between(text: str, one: Region, other: Region) -> str:
    first, last = sorted((one, other))
    return text[first[1] : last[0]]


def _words_of(schema: Schema) -> Set[str]:
    """The words of a schema's names, descriptions and listed values, in lower case."""
    described: List[Any] = [schema, *schema.slots, *schema.intents, *schema.actions]
    texts = [f"{each.name} {each.description}" for each in described]
    texts += [value for slot in schema.slots for value in slot.values]
    return {word for text in texts for word in re.findall(r"[^\W_]+", text.lower())}


def _ordinary(token: Any) -> bool:
    """Whether a capitalised word that begins a sentence is ordinary English, not a name: as
    "Sending" is in "Sending it", since no name has "it" after it.
    """
    following = token.doc[token.i + 1 : token.i + 2].text.lower()
    return token.is_stop or token.lower_ in OPENERS or following in _AFTER_NO_NAME


def _vouches(source: Source, text: str, region: Region, plain: AbstractSet[str]) -> bool:
    """Whether a known value grounds what looks like it: two results are no reason to say "the 2nd"
    or "$2", a floor that is 2 is one for "the 2nd floor", but not for "$2".
    """
    form = _form(text[region[0] : region[1]], source)
    if not source.slot:  # how many rows there are is no amount of money
        return form == VERBATIM or (form.startswith("number.") and form not in WEAK_FORMS)
    if form.startswith("money.") and source.slot in plain and source.value.isdigit():
        return False
    if form not in WEAK_FORMS:
        return True
    return named_near(source.slot, text, region)


def _form(surface: str, source: Source) -> str:
    return (form_of(surface, source.value, source.clock24) or "").partition("|")[0]


def _telling(surface: str, source: Source) -> bool:
    if surface.lower() in ("one", "zero", "yes", "no", "true", "false"):
        return False
    words = tokens(surface)
    return _form(surface, source) not in WEAK_FORMS and (len(words) > 1 or not words[0].is_stop)


_AFTER_NO_NAME = {
    *("a", "an", "the", "this", "that", "these", "my", "our", "your", "his", "her", "their"),
    *("i", "you", "he", "she", "it", "we", "they", "me", "him", "them", "us", "than"),
}
#: What stands between numbers that are offered side by side, other numbers included.
_OFFERING = re.compile(r".*\bor\b.*|(?:[\s,/]|\b(?:and|to|\w*\d)\b)*", re.I | re.S)
