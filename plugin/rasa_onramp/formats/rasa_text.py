"""Rasa's marks in a text: `[Leeds](city)`, `[Leeds]{"entity": "city", "role": "to"}`."""

from __future__ import annotations

import json
import re
from typing import Any, List, Tuple

from rasa_onramp.formats.rasa_parts import Entity
from rasa_onramp.formats.wording import quote

__all__ = ["parse_annotated"]

#: As in Rasa: [text](entity), [text](entity:value), [text]{…}, [text][{…}, {…}].
_MARK = re.compile(
    r"\[(?P<text>[^\]]+?)\]"
    r"(?:\((?P<entity>[^:)]+?)(?::(?P<value>[^)]+))?\)|\{(?P<one>[^}]+?)\}|\[(?P<many>.*?)\])"
)
_OBJECT = re.compile(r"\{[^}]+?\}")


def parse_annotated(marked: str) -> Tuple[str, Tuple[Entity, ...]]:
    """The plain text, and the entities marked in it. Raises ValueError for a mark that isn't whole.

    Where one text is marked as several entities, the first one keeps the mark.
    """
    plain: List[str] = []
    length = position = 0
    entities: List[Entity] = []
    for found in _MARK.finditer(marked):
        before, inside = marked[position : found.start()], found.group("text")
        plain += [before, inside]
        start = length + len(before)
        length = start + len(inside)
        position = found.end()
        if found.group("entity"):
            name, value = found.group("entity").strip(), found.group("value") or inside
            entities.append(Entity(name, value, start, length))
            continue
        objects = _OBJECT.findall(found.group("many") or f"{{{found.group('one')}}}")
        entities += [_entity(text, inside, start) for text in objects]
    return "".join([*plain, marked[position:]]), tuple(entities)


def _entity(text: str, inside: str, start: int) -> Entity:
    try:
        raw: Any = json.loads(text)
    except ValueError:
        raise ValueError(f"{quote(text)} isn't valid JSON") from None
    if not isinstance(raw.get("entity"), str):
        raise ValueError(f"{quote(text)} names no entity")
    role = raw.get("role")
    return Entity(
        raw["entity"],
        str(raw.get("value", inside)),
        start,
        start + len(inside),
        role if isinstance(role, str) else None,
    )
