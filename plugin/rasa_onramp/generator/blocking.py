"""Replies that may not be said: those that people voted down."""

from __future__ import annotations

import re
from typing import Iterable, Tuple

from rasa_onramp.generator.replies import SupportReply

__all__ = ["Blocked", "sayable"]

_WORD = re.compile(r"\{[^{}]*\}|\w+")


class Blocked:
    """Texts and templates; big or small letters, marks and blanks don't count."""

    def __init__(self, texts: Iterable[str] = ()):
        self._texts = frozenset(filter(None, map(_plain, texts)))

    def blocks(self, *forms: str) -> bool:
        """Whether one of the `forms` of a reply, its text or its template, is among them."""
        return bool(self._texts) and any(_plain(form) in self._texts for form in forms)


def sayable(replies: Iterable[SupportReply], blocked: Blocked) -> Tuple[SupportReply, ...]:
    """The replies that aren't blocked, by their template or by the text in their dialogue."""
    return tuple(
        reply
        for reply in replies
        if not blocked.blocks(reply.template.text, reply.template.original)
    )


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
