"""Replies in the schema's own words, for a domain whose support dialogues hold none that fits."""

from __future__ import annotations

from typing import List, Sequence, Set

from rasa_onramp.dialogue import Schema, Slot
from rasa_onramp.generator.situation import Situation, relevant_slots
from rasa_onramp.generator.spotting import plain_values
from rasa_onramp.generator.templates import COUNT, Placeholder, Template, fill

__all__ = ["compose"]

_ROWS = 3  # more than three results at once are not read
_OFFERS = 6  # nor are longer lists of values


def compose(schema: Schema, situation: Situation) -> Template:
    """A template for the situation, whose placeholders the situation's state and rows can fill.

    In this order: an action's outcome is told, what the user asked for is told, the next missing
    required slot is asked for, the bot says what it doesn't know, what is known is confirmed,
    unless that is done or was refused, and else the bot says what it can do.
    """
    if not situation.in_scope:
        return _literal(f"Sorry, I can't help with that. {_abilities(schema)}")
    if situation.action is not None:
        return _outcome(schema, situation)
    asked = [slot for slot in situation.state.requested_slots if situation.knows(slot)]
    if asked:
        return _join(_answers(situation, asked), "Here you are: ", ".")
    if situation.missing:
        return _literal(_question(schema.slot(situation.missing[0])))
    unknown = [
        slot for slot in situation.state.requested_slots if _never_known(schema, situation, slot)
    ]
    if unknown:
        return _literal(f"Sorry, I don't know the {' or the '.join(map(_label, unknown))}.")
    if situation.state.active_intent is None:
        return _literal(_abilities(schema))
    confirmation = _confirmation(schema, situation)
    if situation.wants_nothing:
        text = fill(confirmation, situation.state.values, situation.rows)
        if situation.done or text == situation.system:
            return _literal("What else can I do for you?")
    return confirmation


def _answers(situation: Situation, asked: Sequence[str]) -> List:
    """What is asked, of each of the rows told last where it differs, with what tells them apart."""
    told = situation.told[:_ROWS]

    def values(slot: str) -> Set[str]:
        return {situation.row_at(row).get(slot, "") for row in told} - {""}

    apart = [s for s in situation.row_at(told[0]) if len(values(s)) == len(told)] if told else []
    if not apart or all(len(values(slot)) < 2 for slot in asked):
        return _facts(situation, asked, situation.row or 0)
    named = next((slot for slot in apart if slot not in asked), apart[0])
    parts: List = []
    for row in told:
        parts += ["; "] if parts else []
        parts += _facts(situation, list(dict.fromkeys((named, *asked))), row)
    return parts


def _outcome(schema: Schema, situation: Situation) -> Template:
    action = next((each for each in schema.actions if each.name == situation.action), None)
    required = action.required_slots if action is not None else ()
    given = [slot for slot in required if plain_values(situation.state.values.get(slot))]
    wanted = situation.requested & {slot for row in situation.rows for slot in row}
    parts: List = []
    for number, row in enumerate(situation.rows[:_ROWS]):
        slots = [slot for slot in row if plain_values(row[slot]) and (not wanted or slot in wanted)]
        parts += ["; "] if parts and slots else []
        parts += _facts(situation, slots, number)
    if parts and len(situation.rows) > 1:
        return _join(["I found ", Placeholder(COUNT, origin="count"), ": ", *parts], "", ".")
    if parts:
        return _join(parts, "Here is what I found: ", ".")
    found_nothing = not situation.rows and action is not None and action.result_slots
    start = "Sorry, I found nothing" if found_nothing else f"Done, {_label(situation.action or '')}"
    if not given:
        return _literal(f"{start}.")
    return _join(_facts(situation, given), f"{start}{' for ' if found_nothing else ': '}", ".")


def _confirmation(schema: Schema, situation: Situation) -> Template:
    name = situation.state.active_intent or ""
    described = [intent.description for intent in schema.intents if intent.name == name]
    start = f"To {_lower_first(''.join(described) or _label(name))}"
    others = {slot.name for slot in schema.slots} - relevant_slots(schema, situation.state)
    values = situation.state.values
    known = [slot for slot in values if slot not in others and plain_values(values[slot])]
    if not known:
        return _literal(f"{start}: shall I go ahead?")
    return _join(_facts(situation, known), f"{start}: ", ". Shall I go ahead?")


def _facts(situation: Situation, slots: Sequence[str], row: int = -1) -> List:
    """ "status in transit, expected day Friday", as parts of a template; no `row`: the state's."""
    parts: List = []
    for slot in slots:
        in_row = bool(plain_values(situation.row_at(row).get(slot)))
        parts.append(f"{', ' if parts else ''}{_label(slot)} ")
        parts.append(Placeholder(slot, "told", "results" if in_row else "state", row * in_row))
    return parts


def _question(slot: Slot) -> str:
    if set(slot.values) == {"True", "False"}:
        return f"{_label(slot.name).capitalize()}, yes or no? ({slot.description or slot.name})"
    detail = f" ({_lower_first(slot.description)})" if slot.description else ""
    offer = ""
    if 1 < len(slot.values) <= _OFFERS:
        offer = " You can choose " + ", ".join(slot.values[:-1]) + f" or {slot.values[-1]}."
    return f"Could you tell me the {_label(slot.name)}{detail}?{offer}"


def _abilities(schema: Schema) -> str:
    offers = [_lower_first(intent.description or _label(intent.name)) for intent in schema.intents]
    if not offers:
        return "What can I do for you?"
    return f"I can help you to {'; '.join(offers)}. What would you like to do?"


def _never_known(schema: Schema, situation: Situation, slot: str) -> bool:
    """Whether no call that is still to be made can tell it."""
    if situation.knows(slot):
        return False
    tells = any(slot in action.result_slots for action in schema.actions)
    return situation.done is not None or not tells


def _label(name: str) -> str:
    return name.replace("_", " ")


def _lower_first(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _literal(text: str) -> Template:
    return Template((text,))


def _join(parts: Sequence, before: str, after: str) -> Template:
    return Template((*([before] if before else []), *parts, after))
