"""Warnings about imported dialogues: what their author may expect them to teach, and they won't."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

from rasa_onramp.dialogue import Corpus, Dialogue, Schema, State
from rasa_onramp.errors import ConfigError
from rasa_onramp.example_calls import unshown_slots
from rasa_onramp.formats.wording import quote, some
from rasa_onramp.tracker.schema_prompt import build_schema, may_be_too_long
from rasa_onramp.tracker.targets import unsaid

__all__ = ["advice"]

#: How many of a kind are named; the rest are counted.
_NAMED = 3


def advice(corpus: Corpus, waits: Callable[[Dialogue], bool]) -> List[str]:
    """Lines for whoever imports `corpus`. Dialogues that wait for labels teach nothing yet, so
    there is nothing to say of them.
    """
    of: Dict[str, List[Dialogue]] = {name: [] for name in corpus.schemas}
    for dialogue in corpus.dialogues:
        if not waits(dialogue):
            of[dialogue.domain].append(dialogue)
    lines: List[str] = []
    for name, schema in corpus.schemas.items():
        support = [dialogue for dialogue in of[name] if dialogue.split != "held-out"]
        found = (
            _uncalled(schema, support),
            _unshown(schema, support),
            _unlisted_results(schema, of[name]),
            _forgotten_results(schema, of[name]),
            _unsaid_values(schema, of[name]),
        )
        lines += [f"{name}: {line}" for each in found for line in each]
    return [*lines, *_too_long(corpus.schemas.values())]


def _uncalled(schema: Schema, support: Sequence[Dialogue]) -> Iterator[str]:
    called = {turn.action for dialogue in support for turn in dialogue.turns}
    missing = [action.name for action in schema.actions if action.name not in called]
    if support and missing:
        yield (
            f"no support dialogue here calls {some(missing, _NAMED)}, which teaches not to; name a "
            "call as `action` of the system turn right after it"
        )


def _unshown(schema: Schema, support: Sequence[Dialogue]) -> Iterator[str]:
    if slots := unshown_slots(schema, support):
        yield (
            f"no example call has {', '.join(slots)}, so calls leave that out; show one that has "
            "it, or list it among an action's optional_slots"
        )


def _unlisted_results(schema: Schema, dialogues: Iterable[Dialogue]) -> Iterator[str]:
    found: Dict[Tuple[str, str], str] = {}
    for dialogue in dialogues:
        for turn in dialogue.turns:
            action = turn.action or ""
            for slot in (slot for row in turn.results for slot in row):
                if slot not in schema.results_of(action):
                    where = f"{action} returns {slot} in {quote(dialogue.id)}"
                    found.setdefault((action, slot), where)
    if found:
        yield (
            f"{some(found.values(), _NAMED)}; that isn't among the action's result_slots, so "
            "neither a row typed in a chat nor a slot that the action sets can give it: list it"
        )


def _forgotten_results(schema: Schema, dialogues: Iterable[Dialogue]) -> Iterator[str]:
    found: List[str] = []
    for dialogue in dialogues:
        state = State()
        for number, turn in enumerate(dialogue.turns, start=1):
            state = turn.state or state
            if turn.action is None or any(turn.results):
                continue
            returned = set(schema.results_of(turn.action)) - {*state.values, *turn.parameters}
            for slot in dict.fromkeys(span.slot for span in turn.spans):
                if slot in returned:
                    found.append(f"{slot} ({quote(dialogue.id)}, turn {number})")
    if found:
        told = some(found, _NAMED)
        yield f"told after a call without results: {told}; add what the call returned"


def _unsaid_values(schema: Schema, dialogues: Iterable[Dialogue]) -> Iterator[str]:
    found = [
        f"{slot} {quote(value)} ({quote(dialogue.id)}, turn {index + 1})"
        for dialogue in dialogues
        for index, slot, value in unsaid(schema, dialogue.turns)
    ]
    if found:
        yield (
            f"in no message so far, so the tracker can't find it: {some(found, _NAMED)}; write the "
            "words that were said, perhaps as a list of spellings"
        )


def _too_long(schemas: Iterable[Schema]) -> Iterator[str]:
    """Which schemas are too long to be tracked."""
    long = list(filter(may_be_too_long, schemas))
    if not long:
        return  # without torch, which takes seconds to import
    from rasa_onramp.tracker.checkpoint import shipped_tokens

    tokens = shipped_tokens()
    for schema in long:
        try:
            build_schema(tokens, schema)
        except ConfigError as error:
            yield f"{error}. Bots leave it out until then"
