"""Where a reply says how many result rows there are: "I found 3 shops"."""

from __future__ import annotations

from typing import Collection, Dict, Optional

from rasa_onramp.generator.forms import VERBATIM, form_of
from rasa_onramp.generator.spotting import Region, stem, tokens, words_near
from rasa_onramp.generator.units import unit_of

__all__ = ["count_form", "counted", "speaks_of_counts"]

_COUNTING = {
    stem(word) for word in ["found", "there", "have", "see", "got", "options", "choices", "results"]
}


def counted(text: str, rows: int) -> Dict[Region, str]:
    """The places where `text` counts `rows` rows, each with the form of its number."""
    found: Dict[Region, str] = {}
    for token in tokens(text):
        region = (token.idx, token.idx + len(token))
        form = count_form(token.text, rows)
        if form and speaks_of_counts(words_near(text, region)) and not unit_of(text, region):
            found[region] = form
    return found


def count_form(surface: str, rows: int) -> Optional[str]:
    """The form in which `surface` is the number of rows; None if it isn't, or there is only one."""
    form = form_of(surface, str(rows)) if rows > 1 else None
    return form if form in (VERBATIM, "number.two", "number.two|capitalised") else None


def speaks_of_counts(stems: Collection[str]) -> bool:
    """Whether the words near a number are those of counting what was found."""
    return not _COUNTING.isdisjoint(stems)
