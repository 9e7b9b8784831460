"""Leaving out the part of a template that there is no value for.

"OK: {device}, {location}, urgency {urgency}. Shall I open the ticket?" is said without
", {location}" where the location is not known: a part between commas can go, a sentence can't.
"""

from __future__ import annotations

import re
from typing import Collection, List, Optional, Union

from rasa_onramp.generator.templates import Placeholder, Template

__all__ = ["without"]

_FIRST, _LAST = 0xE000, 0xF8FF  # private-use characters stand for the placeholders


def without(template: Template, unknown: Collection[Placeholder]) -> Optional[Template]:
    """The template without the parts that state `unknown`; None if one is not between commas."""
    placeholders = template.placeholders
    if any(_FIRST <= ord(character) <= _LAST for text in template.literals for character in text):
        return None
    numbers = iter(range(len(placeholders)))
    text = "".join(
        part if isinstance(part, str) else chr(_FIRST + next(numbers)) for part in template.parts
    )
    kept = {chr(_FIRST + i) for i, each in enumerate(placeholders) if each not in unknown}
    for number, placeholder in enumerate(placeholders):
        sign = chr(_FIRST + number)
        if placeholder not in unknown or sign not in text:
            continue
        inside = f"[^,.;:?!]*{sign}[^,.;:?!]*"
        part = re.search(rf", {inside}(?=[,.;:?!]|$)|(?<=: ){inside}, ", text)
        if part is None or kept & set(part.group()):
            return None
        text = text[: part.start()] + text[part.end() :]
    parts: List[Union[str, Placeholder]] = []
    surfaces = []
    for piece in re.split(f"([{chr(_FIRST)}-{chr(_LAST)}])", text):
        number = ord(piece) - _FIRST if len(piece) == 1 else -1
        if 0 <= number < len(placeholders):
            parts.append(placeholders[number])
            surfaces.append(template.surfaces[number])
        elif piece:
            parts.append(piece)
    return Template(tuple(parts), tuple(surfaces))
