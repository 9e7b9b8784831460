"""One dialogue as one sequence: the schema, its utterances, and a set of queries a user turn.

    [CLS] domain [NONE] [ANY] [CLEAR] [SLOT] name : description [VAL] value … [INT] … [ACT] … [SEP]
    [USR] utterance [SYS] utterance [USR] utterance …
    then, for each user turn asked about, one query a slot, one for the intent, one for the action

Who may look at whom (`attention_mask`): the schema at itself; an utterance at the schema and at
what was said up to it; a turn's queries at what was said up to it, at one another, and a slot's
query only at its own slot's description. So all turns of a dialogue are encoded in one pass without
a turn seeing its future, and history is encoded once rather than once a turn: about four times
fewer tokens than a prompt a turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_onramp.dialogue import DONTCARE, Schema, Turn
from rasa_onramp.tracker.tokens import Special, Tokens, words_of

__all__ = [
    "Flag",
    "Prompt",
    "Role",
    "SchemaPrompt",
    "build_prompt",
    "build_schema",
    "windows",
]

#: Positions the encoder has; schema and utterances share them, a turn's queries sit on its end.
MAX_POSITIONS = 512
#: Utterances that a later window of a long dialogue repeats from the one before.
OVERLAP = 6


class Role(IntEnum):
    """What a token is; pointers and masks are decided by it."""

    PAD = 0
    SCHEMA = 1
    NONE = 2
    ANY = 3
    CLEAR = 4
    VALUE = 5
    INTENT = 6
    ACTION = 7
    TEXT = 8
    SPEAKER = 9
    QUERY_FREE = 10
    QUERY_LISTED = 11
    QUERY_INTENT = 12
    QUERY_ACTION = 13


class Flag(IntEnum):
    """What is known of a slot before the turn; added to its query."""

    EMPTY = 0
    FILLED = 1
    ANY = 2


@dataclass(frozen=True)
class SchemaPrompt:
    """A schema's tokens: `ids`, `segment` (slot number + 1, or 0) and `role`, each (tokens,).

    `targets[slot]` maps a listed value, lowercased, to its position; `intents` and `actions` map
    names to positions.
    """

    schema: Schema
    ids: np.ndarray
    segment: np.ndarray
    role: np.ndarray
    none: int
    any: int
    clear: int
    targets: Tuple[Mapping[str, int], ...]
    intents: Mapping[str, int]
    actions: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.ids)


def build_schema(tokens: Tokens, schema: Schema, limit: int = 400) -> SchemaPrompt:
    """The schema's part of the prompt.

    Descriptions are shortened step by step where the whole would exceed `limit` tokens, so that
    history always has room.
    """
    for words in (40, 16, 8, 4, 0):
        prompt = _schema_tokens(tokens, schema, words)
        if len(prompt) <= limit:
            break
    return prompt


def _schema_tokens(tokens: Tokens, schema: Schema, words: int) -> SchemaPrompt:
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

    add(f"{words_of(schema.name)} : {schema.description}", 0, words + 8)
    none = mark(Special.NONE, 0, Role.NONE)
    any_ = mark(Special.ANY, 0, Role.ANY)
    clear = mark(Special.CLEAR, 0, Role.CLEAR)
    targets: List[Dict[str, int]] = []
    for number, slot in enumerate(schema.slots, start=1):
        mark(Special.SLOT, number, Role.SCHEMA)
        add(words_of(slot.name), number, 12)
        if slot.description and words:
            add(f": {slot.description}", number, words)
        found: Dict[str, int] = {}
        for value in slot.values:
            found[value.lower()] = mark(Special.VAL, number, Role.VALUE)
            add(words_of(value), number, 12)
        targets.append(found)
    intents: Dict[str, int] = {}
    for intent in schema.intents:
        intents[intent.name] = mark(Special.INT, 0, Role.INTENT)
        add(f"{words_of(intent.name)} : {intent.description}", 0, words + 8)
    said = {(i.name, i.description) for i in schema.intents}
    actions: Dict[str, int] = {}
    for action in schema.actions:
        actions[action.name] = mark(Special.ACT, 0, Role.ACTION)
        add(words_of(action.name), 0, 12)
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
        none=none,
        any=any_,
        clear=clear,
        targets=tuple(targets),
        intents=intents,
        actions=actions,
    )


@dataclass(frozen=True)
class Prompt:
    """A dialogue's tokens, each array (tokens,).

    `utterance` is the index of the turn a token belongs to (-1 for the schema); `offer` the slot
    number + 1 that the bot marked on it; `start`/`end` its characters in the turn's text; `flag`
    what is known of a query's slot. The first `history` tokens are schema and utterances, the rest
    are queries: for each turn in `asked`, one a slot in schema order, the intent's, the action's.
    """

    schema: SchemaPrompt
    turns: Sequence[Turn]
    asked: Tuple[int, ...]
    history: int
    ids: np.ndarray
    positions: np.ndarray
    segment: np.ndarray
    role: np.ndarray
    utterance: np.ndarray
    offer: np.ndarray
    flag: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def queries_a_turn(self) -> int:
        """How many queries each asked turn has: its slots, the intent and the action."""
        return len(self.schema.schema.slots) + 2


def windows(
    tokens: Tokens, schema_length: int, turns: Sequence[Turn]
) -> List[Tuple[int, int, int]]:
    """Cut a dialogue into windows that fit the encoder.

    Returns (first, asked_from, end) turn indices: a window reads turns [first, end) and is asked
    about the user turns in [asked_from, end). Most dialogues need one.
    """
    budget = MAX_POSITIONS - schema_length
    lengths = [1 + len(tokens.encode(turn.text)[0]) for turn in turns]
    cuts: List[Tuple[int, int, int]] = []
    first = asked_from = 0
    while asked_from < len(turns):
        used, end = sum(lengths[first:asked_from]), asked_from
        while end < len(turns) and used + lengths[end] <= budget:
            used += lengths[end]
            end += 1
        if end == asked_from:  # the overlap leaves no room: drop its oldest turn
            first += 1
            if first > asked_from:  # one utterance alone is too long; encode() has cut it to 128
                raise ValueError("schema leaves no room for an utterance")
            continue
        cuts.append((first, asked_from, end))
        asked_from = end
        first = max(first + 1, end - OVERLAP)
    return cuts


def build_prompt(
    tokens: Tokens,
    schema: SchemaPrompt,
    turns: Sequence[Turn],
    *,
    first: int = 0,
    end: Optional[int] = None,
    asked: Sequence[int] = (),
    known: Sequence[Mapping[str, Tuple[str, ...]]] = (),
    offers: bool = False,
) -> Prompt:
    """The prompt for turns [first, end) with queries for the user turns `asked`.

    Args:
        known: for each asked turn, the slot values known before it (only whether they are there,
            and whether they are "dontcare", is used).
        offers: mark the values that the bot's own utterances state (Turn.spans of system turns).
    """
    end = len(turns) if end is None else end
    numbers = {slot.name: n for n, slot in enumerate(schema.schema.slots, start=1)}
    ids: List[int] = []
    role: List[int] = []
    utterance: List[int] = []
    offer: List[int] = []
    start: List[int] = []
    stop: List[int] = []
    last_position: Dict[int, int] = {}
    for index in range(first, end):
        turn = turns[index]
        encoded, offsets = tokens.encode(turn.text)
        ids.append(tokens.special(Special.USR if turn.is_user else Special.SYS))
        ids.extend(encoded)
        role.extend([Role.SPEAKER] + [Role.TEXT] * len(encoded))
        utterance.extend([index] * (1 + len(encoded)))
        start.extend([0] + [a for a, _ in offsets])
        stop.extend([0] + [b for _, b in offsets])
        marks = [0] * (1 + len(encoded))
        if offers and not turn.is_user:
            for span in turn.spans:
                for k, (a, b) in enumerate(offsets, start=1):
                    if a < span.end and b > span.start and span.slot in numbers:
                        marks[k] = numbers[span.slot]
        offer.extend(marks)
        last_position[index] = len(schema) + len(ids) - 1
    words, history = len(ids), len(schema) + len(ids)
    if history > MAX_POSITIONS:
        raise ValueError(f"{history} tokens, more than the encoder's {MAX_POSITIONS}")
    positions = list(range(len(schema), history))
    segment = [0] * words
    flag = [0] * words
    for index, values in zip(asked, known):
        for number, slot in enumerate(schema.schema.slots, start=1):
            listed = slot.categorical
            ids.append(tokens.special(Special.QUERY_LISTED if listed else Special.QUERY_FREE))
            role.append(Role.QUERY_LISTED if listed else Role.QUERY_FREE)
            segment.append(number)
            value = values.get(slot.name)
            filled = Flag.ANY if value and value[0] == DONTCARE else Flag.FILLED
            flag.append(filled if value else Flag.EMPTY)
        ids += [tokens.special(Special.QUERY_INTENT), tokens.special(Special.QUERY_ACTION)]
        role += [Role.QUERY_INTENT, Role.QUERY_ACTION]
        segment += [0, 0]
        flag += [0, 0]
        queries = len(schema.schema.slots) + 2
        utterance += [index] * queries
        positions += [last_position[index]] * queries
    rest = len(ids) - words
    zeros = np.zeros(len(schema), np.int64)

    def array(head: np.ndarray, tail: List[int], padding: int = 0) -> np.ndarray:
        return np.concatenate([head, np.array(tail + [0] * padding, np.int64)])

    return Prompt(
        schema=schema,
        turns=turns,
        asked=tuple(asked),
        history=history,
        ids=array(schema.ids, ids),
        positions=array(np.arange(len(schema)), positions),
        segment=array(schema.segment, segment),
        role=array(schema.role, role),
        utterance=array(zeros - 1, utterance),
        offer=array(zeros, offer, rest),
        flag=array(zeros, flag),
        start=array(zeros, start, rest),
        end=array(zeros, stop, rest),
    )
