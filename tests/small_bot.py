"""Two made-up domains, and a tracker small enough to learn them in a test.

With them a bot can be tested for real: what the tracker says is known beforehand. The tokenizer is
the real one; the encoder has two layers of 32 units and is trained from random weights.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from rasa_onramp.dialogue import Action, Corpus, Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.metalearning.finetuning import FineTuning, finetune, support_groups
from rasa_onramp.tracker.checkpoint import save_tracker
from rasa_onramp.tracker.model import StateTracker
from tiny_tracker import tiny_tracker, tokenizer_json

__all__ = ["BIKES", "TABLES", "corpus_of", "dialogues", "save_small_tracker", "small_tracker"]

TABLES = Schema(
    name="table_booking",
    description="Book a table in a restaurant for a meal",
    slots=(
        Slot("visit_day", "Day of the meal"),
        Slot("guest_name", "Name that the table is booked under"),
        Slot("table_code", "Code of the table that was booked"),
    ),
    intents=(Intent("book_table", "Book a table for a meal", ("visit_day", "guest_name")),),
    actions=(
        Action("reserve_table", "Save the booking", ("visit_day", "guest_name"), ("table_code",)),
    ),
)

BIKES = Schema(
    name="bike_repair",
    description="Have a bicycle repaired in the workshop",
    slots=(
        Slot("repair_day", "Day on which the bicycle is brought in"),
        Slot("owner_name", "Name of the bicycle's owner"),
        Slot("ticket_code", "Code of the repair ticket"),
    ),
    intents=(Intent("repair_bike", "Have a bicycle repaired", ("repair_day", "owner_name")),),
    actions=(
        Action("open_repair", "Open a ticket", ("repair_day", "owner_name"), ("ticket_code",)),
    ),
)

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAMES = ("anna", "bruno", "chen", "dora", "emil", "fatima", "george", "hana")
CODES = ("t17", "t20", "t31", "t46", "t58")

_WORDS: Dict[str, Tuple[Sequence[str], str, str, str, str]] = {
    TABLES.name: (
        (
            "i need a table for dinner on {}",
            "can i book a table on {}",
            "table for two on {} please",
        ),
        "visit_day",
        "guest_name",
        "table_code",
        "Your table is booked for {} under {}, the code is {}.",
    ),
    BIKES.name: (
        ("my bike needs a repair, is {} possible", "flat tyre on my bike, can i come on {}"),
        "repair_day",
        "owner_name",
        "ticket_code",
        "We repair your bike on {}, {}. Your ticket is {}.",
    ),
}


def dialogues(schema: Schema, count: int) -> Tuple[Dialogue, ...]:
    """`count` dialogues of a domain; the values vary with the number."""
    return tuple(_dialogue(schema, number) for number in range(count))


def corpus_of(*schemas: Schema, support: int = 5) -> Corpus:
    """A corpus of domains with `support` dialogues each."""
    found: List[Dialogue] = []
    for schema in schemas:
        found.extend(dialogues(schema, support))
    return Corpus({schema.name: schema for schema in schemas}, tuple(found))


@lru_cache(maxsize=None)
def small_tracker() -> StateTracker:
    """A tracker that has learnt both domains, trained once a process."""
    tracker = tiny_tracker(0, rank=2, steps=2)
    groups = [
        group
        for schema in (TABLES, BIKES)
        for group in support_groups(tracker, schema, dialogues(schema, 28), offers=True, seed=0)
    ]
    how = FineTuning(rate=5e-3, epochs=8, dialogues_a_step=4)
    return finetune(tracker, groups, how)


@lru_cache(maxsize=None)
def save_small_tracker(folder: Path) -> str:
    """Train it and write it to `folder`; returns its digest."""
    return save_tracker(small_tracker(), folder, tokenizer_json())


def _dialogue(schema: Schema, number: int) -> Dialogue:
    openings, day_slot, name_slot, code_slot, outcome = _WORDS[schema.name]
    day, name = DAYS[number % len(DAYS)], NAMES[number % len(NAMES)]
    code = CODES[number % len(CODES)]
    intent, action = schema.intents[0].name, schema.actions[0].name
    first = {day_slot: (day,)}
    both = {**first, name_slot: (name,)}
    done = outcome.format(day, name, code)
    turns = (
        _turn("user", openings[number % len(openings)].format(day), {day_slot: day}, first, intent),
        Turn("system", "Under which name?"),
        _turn("user", f"it is {name}", {name_slot: name}, both, intent),
        Turn(
            "system",
            done,
            action=action,
            parameters={day_slot: day, name_slot: name},
            results=({code_slot: code},),
            spans=_spans(done, {day_slot: day, name_slot: name, code_slot: code}),
        ),
        _turn("user", "thanks, that is all", {}, both, intent),
        Turn("system", "You're welcome!"),
    )
    return Dialogue(f"{schema.name}-{number}", schema.name, turns, "support")


def _turn(
    speaker: str, text: str, marks: Dict[str, str], values: Dict[str, Tuple[str, ...]], intent: str
) -> Turn:
    return Turn(speaker, text, State(values, intent), spans=_spans(text, marks))


def _spans(text: str, marks: Dict[str, str]) -> Tuple[Span, ...]:
    starts = {slot: text.index(value) for slot, value in marks.items()}
    return tuple(Span(slot, starts[slot], starts[slot] + len(marks[slot])) for slot in marks)
