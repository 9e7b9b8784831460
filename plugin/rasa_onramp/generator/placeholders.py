"""The placeholders in a template's text, in Rasa's braces: "It is {status}"."""

from __future__ import annotations

import re
from typing import List

__all__ = ["PLACEHOLDER", "in_words", "placeholder_names", "replaced"]

#: Its group is the name, as written: whether there is such a slot isn't asked.
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def placeholder_names(text: str) -> List[str]:
    """The names of all placeholders, sorted."""
    return sorted(PLACEHOLDER.findall(text))


def replaced(text: str, by: str) -> str:
    """The text with each placeholder replaced by the same word or blank."""
    return PLACEHOLDER.sub(by, text)


def in_words(text: str) -> str:
    """The text for comparing by meaning: placeholders become their names, as words."""
    return PLACEHOLDER.sub(lambda match: match.group(1).replace("_", " "), text)
