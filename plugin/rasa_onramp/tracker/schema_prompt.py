"""A schema as tokens: what every query of a domain may point at, apart from what was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from rasa_onramp.dialogue import Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.tracker.roles import Role
from rasa_onramp.tracker.tokens import Special, Tokens, words_of

__all__ = ["SchemaPrompt", "build_schema", "check_length", "may_be_too_long"]


@dataclass(frozen=True)
class SchemaPrompt:
    """A schema's tokens: `ids`, `segment` (slots' numbers from 1; else 0), `role`, each (tokens,).

    `number` (tokens,) counts a slot's listed values at their marks, from 1; it is 0 elsewhere.
    `targets[slot]` maps a listed value, lowercased, to its position; `intents` and `actions` map
    names to positions.
    """

    schema: Schema
    ids: np.ndarray
    segment: np.ndarray
    role: np.ndarray
    number: np.ndarray
    none: int
    any: int
    clear: int
    targets: Tuple[Mapping[str, int], ...]
    intents: Mapping[str, int]
    actions: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.ids)


#: What is tried in turn: tokens of a description, tokens of a name or listed value.
_CUTS = ((40, 12), (16, 12), (8, 12), (4, 12), (0, 12), (0, 6), (0, 3), (0, 2))

#: Tokens that a schema may have.
_LIMIT = 400


def may_be_too_long(schema: Schema) -> bool:
    """Whether `build_schema` may refuse it: one of few parts fits whatever their words are."""
    parts = 1 + len(schema.slots) + sum(len(slot.values) for slot in schema.slots)
    parts += len(schema.intents) + len(schema.actions)
    # [CLS], three marks and [SEP], then at most a mark and the shortest name a part
    return 5 + parts * (1 + _CUTS[-1][1]) > _LIMIT


def check_length(tokens: Tokens, schema: Schema) -> None:
    """Raises ConfigError if `build_schema` does. One that fits anyhow isn't tokenised for this."""
    if may_be_too_long(schema):
        build_schema(tokens, schema)


def build_schema(tokens: Tokens, schema: Schema) -> SchemaPrompt:
    """The schema's part of the prompt.

    Descriptions, then names and listed values, are shortened step by step where the whole would
    exceed 400 tokens, so that history always has room. Raises ConfigError if nothing helps.
    """
    for words, names in _CUTS:
        prompt = _schema_tokens(tokens, schema, words, names)
        if len(prompt) <= _LIMIT:
            return prompt
    raise ConfigError(
        f"domain {schema.name!r} takes {len(prompt)} tokens of the {_LIMIT} a schema may have; "
        "list fewer values or split the domain"
    )


def _schema_tokens(tokens: Tokens, schema: Schema, words: int, names: int) -> SchemaPrompt:
    headline = words + 8 if names == _CUTS[0][1] else names
    ids: List[int] = [tokens.cls]
    segment: List[int] = [0]
    role: List[int] = [Role.SCHEMA]

    def add(text: str, number: int, limit: int) -> None:
        new = tokens.encode(text, limit)[0]
        ids.extend(new)
        segment.extend([number] * len(new))
        role.extend([Role.SCHEMA] * len(new))

    def mark(token: Special, number: int, what: Role) -> int:
        ids.append(tokens.special(token))
        segment.append(number)
        role.append(what)
        return len(ids) - 1

    add(f"{words_of(schema.name)} : {schema.description}", 0, headline)
    none = mark(Special.NONE, 0, Role.NONE)
    any_ = mark(Special.ANY, 0, Role.ANY)
    clear = mark(Special.CLEAR, 0, Role.CLEAR)
    targets: List[Dict[str, int]] = []
    for number, slot in enumerate(schema.slots, start=1):
        mark(Special.SLOT, number, Role.SCHEMA)
        add(words_of(slot.name), number, names)
        if slot.description and words:
            add(f": {slot.description}", number, words)
        found: Dict[str, int] = {}
        for value in slot.values:
            found[value.lower()] = mark(Special.VAL, number, Role.VALUE)
            add(words_of(value), number, names)
        targets.append(found)
    intents: Dict[str, int] = {}
    for intent in schema.intents:
        intents[intent.name] = mark(Special.INT, 0, Role.INTENT)
        add(f"{words_of(intent.name)} : {intent.description}", 0, headline)
    said = {(i.name, i.description) for i in schema.intents}
    actions: Dict[str, int] = {}
    for action in schema.actions:
        actions[action.name] = mark(Special.ACT, 0, Role.ACTION)
        add(words_of(action.name), 0, names)
        if words and (action.name, action.description) not in said:
            add(f": {action.description}", 0, words)
    ids.append(tokens.sep)
    segment.append(0)
    role.append(Role.SCHEMA)
    return SchemaPrompt(
        schema=schema,
        ids=np.array(ids, np.int64),
        segment=np.array(segment, np.int64),
        role=np.array(role, np.int64),
        number=_numbers(len(ids), targets),
        none=none,
        any=any_,
        clear=clear,
        targets=tuple(targets),
        intents=intents,
        actions=actions,
    )


def _numbers(length: int, targets: Sequence[Mapping[str, int]]) -> np.ndarray:
    found = np.zeros(length, np.int64)
    for places in targets:
        for number, place in enumerate(places.values(), start=1):
            found[place] = number
    return found
