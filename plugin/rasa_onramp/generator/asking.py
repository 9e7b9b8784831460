"""What a reply speaks of in its wording: the slots it asks for, and those it takes for settled."""

from __future__ import annotations

import re
from typing import FrozenSet, Optional, Sequence, Set

from rasa_onramp.dialogue import DONTCARE, Schema, Slot, State
from rasa_onramp.generator.situation import relevant_slots
from rasa_onramp.generator.spotting import stem, tokens, yes_or_no
from rasa_onramp.generator.templates import Template

__all__ = ["asked_slots", "worded_slots"]


_EMPTY_WORDS = re.compile(
    r"and|are|can|could|for|from|has|how|if|is|may|on|one|or|shall|should|that|the|this|to|what|when|"
    r"where|whether|which|who|will|with|would|you|your"
)
_IMPERATIVE = re.compile(r"\b(?:please|give|tell|provide|enter|need|let me know)\b", re.IGNORECASE)
_OPENLY = re.compile(r"\b(?:how|what|when|where|which|who)\b", re.IGNORECASE)
_OPEN = re.compile(r"\b(?:help|assist|anything|something else|do for you)\b", re.IGNORECASE)

#: "a table for one", but not "wait for one moment".
_FOR_ONE = re.compile(r"\bfor one\b(?!\s+(?:moment|second|minute|of|near)\b)", re.IGNORECASE)


def asked_slots(
    schema: Schema, template: Template, before: State, after: Optional[State]
) -> FrozenSet[str]:
    """The unset slots that a reply asks for.

    Of the slots that its questions name, they are those that the user's answer sets, or else all. A
    question that names none asks for what the reply states and the answer sets ("Which of these?"),
    or, unless yes answers it, for what the answer sets ("How many?"). "Anything else?" asks for
    none, and neither does asking for another value.
    """
    text = "".join(part if isinstance(part, str) else " " for part in template.parts)
    sentences = re.split(r"(?<=[.!?])\s+", text)
    asking = [each for each in sentences if "?" in each or _IMPERATIVE.search(each)]
    asking = [each for each in asking if not _OPEN.search(each)]
    if not asking:
        return frozenset()
    asked = " ".join(asking)
    relevant = relevant_slots(schema, before) | relevant_slots(schema, after or before)
    slots = [slot for slot in schema.slots if slot.name in relevant]
    named = _named(asked, slots)
    unset = {slot.name for slot in slots if not before.values.get(slot.name)}
    answered = {slot for slot in unset if after is not None and after.values.get(slot)}
    if named:
        return frozenset((named & answered) or (named & unset))
    stated = {placeholder.slot for placeholder in template.placeholders}
    return frozenset((answered & stated) or (answered if _OPENLY.search(asked) else ()))


def worded_slots(template: Template, state: State, *, whole: bool = False) -> FrozenSet[str]:
    """The slots that are true, false, 1 or "any will do" in `state` and may be spoken of in words.

    "And a neighbour may take it" and "one ticket" don't state the value of a slot, but hold for one
    only. A slot is spoken of where half the words of its name are said, or with `whole` all.
    """
    text = " ".join(template.literals)
    words = _stems(text)
    single = {stem(word) for word in re.findall(r"\b(?:one|single)\s+(\w+)", text.lower())}
    for_one = _FOR_ONE.search(text)
    any_will_do = re.search(r"\b(?:any|anything|whichever|whenever|either)\b", text, re.IGNORECASE)
    spoken = set()
    for slot, values in state.values.items():
        stems = _stems(slot)
        shared = _shared(stems, words)
        named = (shared if whole else 2 * shared) >= len(stems) > 0
        if (
            (values[:1] == (DONTCARE,) and (named or any_will_do))
            or (any(map(yes_or_no, values[:1])) and named)
            or (values[:1] in (("1",), ("one",)) and (for_one or single & stems))
        ):
            spoken.add(slot)
    return frozenset(spoken)


def _named(text: str, slots: Sequence[Slot]) -> Set[str]:
    """The slots that a question names best: by their names, or as well by their descriptions."""
    words = _stems(text)
    scores = {
        slot.name: 2 * _shared(_stems(slot.name), words) + _shared(_stems(slot.description), words)
        for slot in slots
    }
    best = max(scores.values(), default=0)
    return {slot for slot, score in scores.items() if score and 2 * score > best}


def _shared(some: Set[str], others: Set[str]) -> int:
    """How many of `some` are in `others`, or begin like one: "urgency" and "urgent"."""
    return sum(any(one == other or one[:5] == other[:5] for other in others) for one in some)


def _stems(text: str) -> Set[str]:
    return {
        stem(token.lower_)
        for token in tokens(text.replace("_", " "))
        if len(token) > 2 and not _EMPTY_WORDS.fullmatch(token.lower_)
    }
