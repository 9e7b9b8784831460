"""The `domain` part of our YAML format: slots, intents and actions."""

from __future__ import annotations

from typing import Dict, Set, Tuple

from rasa_onramp.dialogue import DONTCARE, Action, Intent, Schema, Slot
from rasa_onramp.formats.nodes import Fields, Mistake, Node, Text
from rasa_onramp.formats.wording import did_you_mean, quote
from rasa_onramp.formats.yaml_fields import (
    fields,
    items,
    known,
    name_of,
    names,
    optional_text,
    text,
)

__all__ = ["NO_INTENT", "VERSION", "read_schema", "slot_value"]

#: The version of the format that we read and write.
VERSION = "1.0"

#: What a user turn's `intent` says where the user no longer wants anything.
NO_INTENT = "none"


def read_schema(node: Node) -> Schema:
    """The schema that a `domain` mapping describes. Raises Mistake."""
    keys = ("name", "description", "slots", "intents", "actions")
    domain = fields(node, "the domain", keys, required=("name", "slots"))
    name = name_of(domain, "domain", set())
    taken: Set[str] = set()
    slots = {slot.name: slot for slot in (_slot(item, taken) for item in items(domain, "slots"))}
    if not slots:
        mend = "describe what the domain keeps track of"
        raise Mistake(f"the domain {quote(name)} has no slots", mend, domain.lines["slots"])
    taken = set()
    intents = tuple(_intent(item, taken, slots) for item in items(domain, "intents"))
    taken = set()
    actions = tuple(_action(item, taken, slots) for item in items(domain, "actions"))
    return Schema(
        name=name,
        description=optional_text(domain, "description"),
        slots=tuple(slots.values()),
        intents=intents,
        actions=actions,
    )


def slot_value(node: Node, slot: Slot) -> str:
    """`node` as a value of `slot`: of those listed, if any are, or `dontcare`. Raises Mistake."""
    mend = f"leave it out; a user turn takes a value back by clear: [{slot.name}]"
    value = text(node, f"the value of {quote(slot.name)}", mend)
    if slot.values and value not in slot.values and value != DONTCARE:
        message = f"{quote(value)} is not among the values listed for {quote(slot.name)}"
        raise Mistake(message, did_you_mean(value, (DONTCARE, *slot.values), "it"), node.line)
    return value


def _slot(node: Node, taken: Set[str]) -> Slot:
    slot = fields(node, "a slot", ("name", "description", "values"), required=("name",))
    name = name_of(slot, "slot", taken)
    values: Dict[str, None] = {}  # in order, and soon looked up
    for item in items(slot, "values"):
        value = text(item, f"a value of {quote(name)}")
        if value in values:
            message = f"the value {quote(value)} is listed twice"
            raise Mistake(message, "list it once", item.line)
        if value == DONTCARE:
            mend = "take it out: every slot can have it"
            raise Mistake(f"{quote(DONTCARE)} is no value to list", mend, item.line)
        values[value] = None
    if "values" in slot.values and not values:
        mend = "list some, or leave `values` out for a slot of free text"
        raise Mistake(f"slot {quote(name)} lists no values", mend, slot.lines["values"])
    return Slot(name, optional_text(slot, "description"), tuple(values))


def _intent(node: Node, taken: Set[str], slots: Dict[str, Slot]) -> Intent:
    keys = ("name", "description", "required_slots", "optional_slots")
    intent = fields(node, "an intent", keys, required=("name",))
    name = name_of(intent, "intent", taken)
    if name == NO_INTENT:
        mend = "choose another: `intent: none` in a turn means that there is none"
        raise Mistake(f"no intent can be called {quote(name)}", mend, intent.lines["name"])
    required = names(intent, "required_slots", slots, "slot")
    optional: Dict[str, str] = {}
    node_of_optional = intent.values.get("optional_slots")
    if node_of_optional is not None:
        if not isinstance(node_of_optional, Fields):
            mend = "write {slot: default}, with dontcare as the default where any value will do"
            line = node_of_optional.line
            raise Mistake("'optional_slots' must be a mapping", mend, line)
        for slot, value in node_of_optional.values.items():
            known(Text(slot, node_of_optional.lines[slot]), slots, "slot")
            optional[slot] = slot_value(value, slots[slot])
    return Intent(name, optional_text(intent, "description"), required, optional)


def _action(node: Node, taken: Set[str], slots: Dict[str, Slot]) -> Action:
    keys = ("name", "description", "required_slots", "optional_slots", "result_slots", "url")
    action = fields(node, "an action", keys, required=("name",))
    name = name_of(action, "action", taken)
    url = None
    if "url" in action.values:
        url = text(action.values["url"], "the url")
        if not url.startswith(("http://", "https://")) or any(char.isspace() for char in url):
            message = f"{quote(url)} is no web address"
            raise Mistake(message, "start it with http:// or https://", action.lines["url"])
    required: Tuple[str, ...] = names(action, "required_slots", slots, "slot")
    optional = names(action, "optional_slots", slots, "slot")
    for slot in optional:
        if slot in required:
            mend = "leave it out of `optional_slots`"
            raise Mistake(
                f"{quote(slot)} is required already", mend, action.lines["optional_slots"]
            )
    results = names(action, "result_slots", slots, "slot")
    return Action(name, optional_text(action, "description"), required, results, url, optional)
