"""What a language model wrote as a template: its placeholders looked up, or the text refused."""

from __future__ import annotations

from collections import Counter
from typing import AbstractSet, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from rasa_onramp.dialogue import Schema
from rasa_onramp.generator.placeholders import PLACEHOLDER
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation
from rasa_onramp.generator.spotting import plain_values
from rasa_onramp.generator.templates import COUNT, Placeholder, Template

__all__ = ["forms_of", "template_of"]

#: How a value is written whose slot no support reply states.
_UNKNOWN = "told"


def forms_of(replies: Sequence[SupportReply]) -> Dict[str, str]:
    """The form that each slot's values mostly take in the support replies."""
    seen: Dict[str, Counter[str]] = {}
    for reply in replies:
        for placeholder in reply.template.placeholders:
            seen.setdefault(placeholder.slot, Counter())[placeholder.form] += 1
    return {slot: forms.most_common(1)[0][0] for slot, forms in seen.items()}


def template_of(
    text: str, schema: Schema, now: Situation, forms: Mapping[str, str]
) -> Optional[Template]:
    """The text as a template, or None if it is empty, has a placeholder for no slot, tells of a row
    before the one that the talk is about, or of one of several what was asked of them all.

    A value comes from the results where they have just come in or another row than the first is
    meant, else from the state if that holds one.
    """
    slots = {slot.name for slot in schema.slots}
    parts: List[Union[str, Placeholder]] = []
    position = 0
    for match in PLACEHOLDER.finditer(text):
        slot, row = _slot_and_row(match.group(1), slots)
        if slot is None:
            return None
        if match.start() > position:
            parts.append(text[position : match.start()])
        origin = "count" if slot == COUNT else _origin(slot, row, now)
        if origin == "results" and _of_earlier_row(slot, row, now):
            return None
        parts.append(Placeholder(slot, forms.get(slot, _UNKNOWN), origin, row))
        position = match.end()
    if position < len(text):
        parts.append(text[position:])
    literal = "".join(part for part in parts if isinstance(part, str))
    if not parts or "{" in literal or "}" in literal:
        return None
    template = Template(tuple(parts))
    asked = now.asked_of_each.intersection(template.slots)
    if any(not template.rows_of(slot).issuperset(now.offers) for slot in asked):
        return None
    return template


def _slot_and_row(name: str, slots: AbstractSet[str]) -> Tuple[Optional[str], int]:
    if name in slots or name == COUNT:
        return name, 0
    slot, _, number = name.rpartition("_")
    if slot in slots and number.isdecimal() and int(number) > 1:
        return slot, int(number) - 1
    return None, 0


def _of_earlier_row(slot: str, row: int, now: Situation) -> bool:
    """Whether a value would be that of a row before the one that the talk is about, and another."""
    if now.action is not None or now.row is None or row >= now.row:
        return False
    if now.asked_of_each and row in now.offers:
        return False  # the talk is about them all
    return now.rows[row].get(slot) != now.rows[now.row].get(slot)


def _origin(slot: str, row: int, now: Situation) -> str:
    if row > 0:
        return "results"
    in_row = bool(plain_values(now.row_at(row).get(slot)))
    in_state = bool(plain_values(now.state.values.get(slot)))
    if in_row and (now.action is not None or not in_state):
        return "results"
    return "state" if in_state else "either"
