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
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from rasa_onramp.dialogue import DONTCARE, Turn
from rasa_onramp.tracker.mentions import mentioned
from rasa_onramp.tracker.roles import Flag, Role
from rasa_onramp.tracker.schema_prompt import SchemaPrompt
from rasa_onramp.tracker.tokens import Special, Tokens
from rasa_onramp.tracker.windows import MAX_POSITIONS, utterance_limit

__all__ = ["Prompt", "build_prompt"]


@dataclass(frozen=True)
class Prompt:
    """A dialogue's tokens, each array (tokens,).

    `segment` is the number of the slot, from 1, whose description or query a token is of (0: of
    none's); `utterance` the index of the turn that it belongs to (-1: the schema); `offer` the
    number of the slot whose value the bot marked on it (0: none's); `start`/`end` its characters in
    the turn's text; `flag` what is known of a query's slot; `number` counts a slot's listed values
    at their marks, and `said` and `heard` tell a query, bit by bit, which of them stand word for
    word in the user's turn and in the bot's turn before it. The first `history` tokens are schema
    and utterances, the rest are queries: for each turn in `asked`, one a slot in schema order, the
    intent's, the action's.
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
    number: np.ndarray
    said: np.ndarray
    heard: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def queries_a_turn(self) -> int:
        """How many queries each asked turn has: its slots, the intent and the action."""
        return len(self.schema.schema.slots) + 2


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

    Raises ValueError if the turns don't fit the encoder; windows.py says which do.
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
    longest = utterance_limit(len(schema))
    for index in range(first, end):
        turn = turns[index]
        encoded, offsets = tokens.encode(turn.text, longest)
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
    said, heard = [0] * words, [0] * words
    for index, values in zip(asked, known):
        before = turns[index - 1].text if index > first and not turns[index - 1].is_user else ""
        for number, slot in enumerate(schema.schema.slots, start=1):
            listed = slot.categorical
            ids.append(tokens.special(Special.QUERY_LISTED if listed else Special.QUERY_FREE))
            role.append(Role.QUERY_LISTED if listed else Role.QUERY_FREE)
            segment.append(number)
            value = values.get(slot.name)
            filled = Flag.ANY if value and value[0] == DONTCARE else Flag.FILLED
            flag.append(filled if value else Flag.EMPTY)
            said.append(mentioned(slot, turns[index].text))
            heard.append(mentioned(slot, before))
        ids += [tokens.special(Special.QUERY_INTENT), tokens.special(Special.QUERY_ACTION)]
        role += [Role.QUERY_INTENT, Role.QUERY_ACTION]
        segment += [0, 0]
        flag += [0, 0]
        said += [0, 0]
        heard += [0, 0]
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
        number=array(schema.number, [0] * (words + rest)),
        said=array(zeros, said),
        heard=array(zeros, heard),
        start=array(zeros, start, rest),
        end=array(zeros, stop, rest),
    )
