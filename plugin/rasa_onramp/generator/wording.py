"""Replies in the schema's own words, for a domain whose support dialogues hold none that fits."""

from __future__ import annotations

from typing import Container, List, Optional, Sequence

from rasa_onramp.dialogue import Schema, Slot
from rasa_onramp.generator.focus import READ
from rasa_onramp.generator.outcomes import denies
from rasa_onramp.generator.situation import READ_OUT, Situation, relevant_slots
from rasa_onramp.generator.spotting import find_sources, plain_values, sources_of, yes_or_no
from rasa_onramp.generator.templates import COUNT, Placeholder, Template, fill

__all__ = ["compose"]

_OFFERS = 6  # longer lists of values are not read


def compose(schema: Schema, situation: Situation) -> Template:
    """A template for the situation, whose placeholders the situation's state and rows can fill.

    In this order: an action's outcome is told, what the user asked for is told, be it what there is
    to choose, the next missing required slot is asked for, the bot says what it doesn't know, what
    is known is confirmed, unless that is done or was refused, and else the bot says what it can do.
    """
    if not situation.in_scope:
        return _literal(f"Sorry, I can't help with that. {_abilities(schema)}")
    if situation.action is not None:
        return _outcome(schema, situation)
    asked = [slot for slot in situation.state.requested_slots if situation.knows(slot)]
    if asked:
        return _join(_answers(situation, asked), "Here you are: ", ".")
    choice = next((slot for slot in schema.slots if _to_choose(schema, situation, slot)), None)
    if choice is not None:
        return _literal(_choices(choice.values))
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
        if situation.done:
            return _literal("What else can I do for you?")
        if _asked_to_confirm(confirmation, situation) and denies(situation.user[:READ]):
            return _literal("What would you like to change?")
        if text == situation.system:
            return _literal("What else can I do for you?")
    return confirmation


def _asked_to_confirm(confirmation: Template, situation: Situation) -> bool:
    """Whether the bot has just asked about what is known, in whatever words: it stated half of it
    at least. What is yes or no is told in too many ways.
    """
    values = {slot: situation.state.values[slot] for slot in confirmation.slots}
    known = {slot for slot, told in values.items() if not any(map(yes_or_no, told))}
    found = {source.slot for _, source in find_sources(situation.system, sources_of(values, ()))}
    return "?" in situation.system and bool(found) and 2 * len(found & known) >= len(known)


def _answers(situation: Situation, asked: Sequence[str]) -> List:
    """What is asked; of each row that may be meant, where they differ, with what tells it apart."""
    if situation.asked_of_each.isdisjoint(asked):
        return _facts(situation, asked, situation.row or 0)
    named = _telling_apart(situation, situation.offers, asked)
    slots = dict.fromkeys((named, *asked) if named is not None else asked)
    of_none = _facts(situation, [slot for slot in asked if slot not in situation.slots_found])
    between = ["; "] if of_none else []
    return [*of_none, *between, *_listed(situation, situation.offers, list(slots))]


def _telling_apart(
    situation: Situation, rows: Sequence[int], asked: Container[str]
) -> Optional[str]:
    """The first slot by which each of several rows differs from all others, better one that isn't
    asked for; None without such.
    """

    def parts(slot: str) -> bool:
        values = {situation.row_at(row).get(slot, "") for row in rows} - {""}
        return len(values) == len(rows)

    apart = [slot for slot in situation.row_at(rows[0]) if parts(slot)] if len(rows) > 1 else []
    return next((slot for slot in apart if slot not in asked), apart[0] if apart else None)


def _listed(situation: Situation, rows: Sequence[int], slots: Sequence[str]) -> List:
    """These slots of each row, as far as it has them."""
    parts: List = []
    for number in rows:
        row = situation.row_at(number)
        told = [slot for slot in slots if plain_values(row.get(slot))]
        parts += ["; "] if parts and told else []
        parts += _facts(situation, told, number)
    return parts


def _outcome(schema: Schema, situation: Situation) -> Template:
    action = next((each for each in schema.actions if each.name == situation.action), None)
    required = action.required_slots if action is not None else ()
    given = [slot for slot in required if plain_values(situation.state.values.get(slot))]
    shown = range(min(len(situation.rows), READ_OUT))
    wanted = situation.requested & situation.slots_found
    named = _telling_apart(situation, shown, wanted) if wanted else None
    slots = dict.fromkeys(slot for row in situation.rows[:READ_OUT] for slot in row)
    parts = _listed(
        situation, shown, [slot for slot in slots if not wanted or slot in (named, *wanted)]
    )
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
    offer = f" {_choices(slot.values)}" if 1 < len(slot.values) <= _OFFERS else ""
    return f"Could you tell me the {_label(slot.name)}{detail}?{offer}"


def _choices(values: Sequence[str]) -> str:
    if len(values) > _OFFERS:
        return f"You can choose {', '.join(values[:_OFFERS])} and others."
    return f"You can choose {', '.join(values[:-1])} or {values[-1]}."


def _to_choose(schema: Schema, situation: Situation, slot: Slot) -> bool:
    """Whether the user asks what there is to choose for a slot: of what was found, or of what is
    done, the values that could have been are no answer.
    """
    if slot.name not in situation.requested or situation.knows(slot.name):
        return False
    if len(slot.values) < 2 or any(map(yes_or_no, slot.values)):
        return False
    if situation.done or (situation.rows and _tells(schema, slot.name)):
        return False
    takes = any(
        slot.name in (*each.required_slots, *each.optional_slots) for each in schema.intents
    )
    return takes and slot.name in relevant_slots(schema, situation.state)


def _abilities(schema: Schema) -> str:
    offers = [_lower_first(intent.description or _label(intent.name)) for intent in schema.intents]
    if not offers:
        return "What can I do for you?"
    return f"I can help you to {'; '.join(offers)}. What would you like to do?"


def _never_known(schema: Schema, situation: Situation, slot: str) -> bool:
    """Whether no call that is still to be made can tell it."""
    if situation.knows(slot):
        return False
    return situation.done is not None or not _tells(schema, slot)


def _tells(schema: Schema, slot: str) -> bool:
    """Whether a call returns it."""
    return any(slot in action.result_slots for action in schema.actions)


def _label(name: str) -> str:
    return name.replace("_", " ")


def _lower_first(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _literal(text: str) -> Template:
    return Template((text,))


def _join(parts: Sequence, before: str, after: str) -> Template:
    return Template((*([before] if before else []), *parts, after))
