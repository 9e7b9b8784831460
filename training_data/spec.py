"""What a domain file describes; domain_file.py reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Mapping, Optional, Tuple

__all__ = ["PLACE", "Domain", "Intent", "Offer", "Request", "Slot", "places"]

#: A gap in a template: {}, {slot} or {slot:2}.
PLACE = re.compile(r"\{([A-Za-z0-9_]*)(?::([12]))?\}")


@dataclass(frozen=True)
class Slot:
    """A slot: its values are of a `kind`, after `patterns`, `examples`, or `listed`."""

    name: str
    descriptions: Tuple[str, ...]
    names: Tuple[str, ...]
    kind: str
    patterns: Tuple[str, ...]
    examples: Tuple[str, ...]
    listed: Mapping[str, Tuple[str, ...]]
    ask: Tuple[str, ...]
    tell: Tuple[str, ...]

    @property
    def yes_no(self) -> bool:
        """Whether its values are "True" and "False", which nobody says."""
        return bool(self.listed) and set(self.listed) <= {"True", "False"}


@dataclass(frozen=True)
class Offer:
    """What the bot looks up and the user picks from."""

    needs: Tuple[str, ...]
    slots: Tuple[str, ...]
    results: Tuple[str, ...]
    one: Tuple[str, ...]
    two: Tuple[str, ...]


@dataclass(frozen=True)
class Intent:
    """What a user can want."""

    name: str
    descriptions: Tuple[str, ...]
    names: Tuple[str, ...]
    required: Tuple[str, ...]
    optional: Mapping[str, str]
    open: Tuple[str, ...]
    results: Tuple[str, ...]
    done: Tuple[str, ...]
    failed: Tuple[str, ...]
    offer: Optional[Offer]

    @property
    def slots(self) -> Tuple[str, ...]:
        """The slots it requires or takes."""
        return (*self.required, *self.optional)


@dataclass(frozen=True)
class Request:
    """How a slot's value is asked for, and the bot's answer."""

    ask: Tuple[str, ...]
    tell: Tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """One domain file."""

    name: str
    descriptions: Tuple[str, ...]
    names: Tuple[str, ...]
    slots: Mapping[str, Slot]
    intents: Mapping[str, Intent]
    requests: Mapping[str, Request]
    small_talk: Tuple[Tuple[str, str], ...]


def places(template: str) -> List[str]:
    """The slots that a template mentions."""
    return [match.group(1) for match in PLACE.finditer(template)]
