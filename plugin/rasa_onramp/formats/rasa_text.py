"""Rasa's marks in a text: `[Leeds](city)`, `[Leeds]{"entity": "city", "role": "to"}`."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, List, Match, Tuple

from rasa_onramp.formats.rasa_parts import Entity
from rasa_onramp.formats.wording import UNSTORABLE, quote

__all__ = ["parse_annotated"]

#: What may follow the ] of a marked text, each up to its first closing bracket; as in Rasa:
#: [text](entity), [text](entity:value), [text]{…}, [text][{…}, {…}].
_REST = {
    "(": re.compile(r"\((?P<entity>[^:)]+)(?::(?P<value>[^)]+))?\)"),
    "{": re.compile(r"(?P<objects>\{[^}]+\})"),
    "[": re.compile(r"\[(?P<objects>[^\]\n]*)\]"),
}
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_OBJECT = re.compile(r"\{[^}]+\}")


def parse_annotated(marked: str) -> Tuple[str, Tuple[Entity, ...]]:
    """The plain text, and the entities marked in it. Raises ValueError for a mark that isn't whole,
    or holds what no text can.

    Where one text is marked as several entities, the first one keeps the mark.
    """
    plain: List[str] = []
    length = position = 0
    entities: List[Entity] = []
    for begin, end, rest in _marks(marked):
        before, inside = marked[position:begin], marked[begin + 1 : end]
        plain += [before, inside]
        start = length + len(before)
        length = start + len(inside)
        position = rest.end()
        if "entity" in rest.re.groupindex:
            name, value = rest.group("entity").strip(), rest.group("value") or inside
            entities.append(Entity(name, value, start, length))
            continue
        objects = rest.group("objects")
        # nothing is looked for behind the last }, which would take long where there are many {
        found = _OBJECT.findall(objects, 0, objects.rfind("}") + 1)
        entities += [_entity(text, inside, start) for text in found]
    return "".join([*plain, marked[position:]]), tuple(entities)


def _marks(marked: str) -> Iterator[Tuple[int, int, Match[str]]]:
    """Where a marked text's [ and ] are, and what follows. Every character is looked at a few times
    at most, whatever the text: one regular expression for all of it would take hours for some.
    """
    ends = dict.fromkeys(_CLOSING.values(), -1)  # where each comes next

    def next_of(char: str, at: int) -> int:
        if ends[char] < at:
            found = marked.find(char, at)
            ends[char] = len(marked) if found < 0 else found
        return ends[char]

    begin = marked.find("[")
    while begin >= 0:
        end = next_of("]", begin + 1)
        if end == begin + 1:  # [] marks nothing
            begin = marked.find("[", end)
            continue
        opening = marked[end + 1 : end + 2]
        rest = None
        if opening in _REST:
            closing = next_of(_CLOSING[opening], end + 2)
            if closing < len(marked):
                rest = _REST[opening].match(marked, end + 1, closing + 1)
        if rest is not None:
            yield begin, end, rest
        # no [ between the two begins a mark either: it would have the same ] and the same rest
        begin = marked.find("[", end if rest is None else rest.end())


def _entity(text: str, inside: str, start: int) -> Entity:
    try:
        raw: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{quote(text)} isn't valid JSON") from None
    if not isinstance(raw.get("entity"), str):
        raise ValueError(f"{quote(text)} names no entity")
    role, value = raw.get("role"), str(raw.get("value", inside))
    if UNSTORABLE.search(raw["entity"] + value):
        raise ValueError(f"{quote(text)} has an escape that stands for no character of a text")
    return Entity(
        raw["entity"],
        value,
        start,
        start + len(inside),
        role if isinstance(role, str) else None,
    )
