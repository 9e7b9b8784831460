"""A tracker small enough to train in a test, and a made-up domain for it.

The tokenizer is the real one; the encoder has two layers of 32 units and random weights.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import torch

from rasa_onramp.dialogue import (
    Action,
    Corpus,
    Dialogue,
    Intent,
    Schema,
    Slot,
    Span,
    State,
    Turn,
)
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.metalearning import examples
from rasa_onramp.metalearning.examples import Augmentation, Example
from rasa_onramp.metalearning.inner_loop import initial_rates
from rasa_onramp.metalearning.lora import initial_lora
from rasa_onramp.tracker import model
from rasa_onramp.tracker.batch import Batch
from rasa_onramp.tracker.encoder import Encoder, EncoderConfig
from rasa_onramp.tracker.model import Scores, StateTracker, initial_heads
from rasa_onramp.tracker.prompt import Prompt, build_prompt
from rasa_onramp.tracker.schema_prompt import build_schema
from rasa_onramp.tracker.tokens import Tokens
from rasa_onramp.weights import resolve_encoder

__all__ = [
    "CAFE",
    "CONFIG",
    "booking",
    "bookings",
    "corpus",
    "examples_of",
    "in_one_pass",
    "prompt_of",
    "shared_tokens",
    "system",
    "tiny_tracker",
    "tokenizer_json",
    "user",
    "write_domains",
]

CONFIG = EncoderConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
)

CAFE = Schema(
    name="TableBooking_1",
    description="Book a table in a small restaurant",
    slots=(
        Slot("guest_name", "Name that the table is booked under"),
        Slot("seating", "Where the guests want to sit", ("inside", "terrace", "bar")),
        Slot("visit_day", "Day of the visit"),
    ),
    intents=(
        Intent("BookTable", "Book a table", ("visit_day",), {"seating": "bar", "guest_name": ""}),
        Intent("CancelTable", "Cancel a booking"),
    ),
    actions=(
        Action("BookTable", "Book a table", ("visit_day",)),
        Action("find_days", "Look up the days that have a free table"),
    ),
)


def tokenizer_json() -> bytes:
    """The real tokenizer's file."""
    return (resolve_encoder() / "tokenizer.json").read_bytes()


@lru_cache(maxsize=None)
def shared_tokens() -> Tokens:
    """The real tokenizer, read once."""
    return Tokens.from_file(resolve_encoder() / "tokenizer.json")


def tiny_tracker(seed: int = 0, *, rank: int = 0, steps: int = 0, spread: float = 1.0):
    """A tracker with random weights, the same for the same seed.

    `rank` adds low-rank updates, `steps` inner learning rates for everything that adapts; `spread`
    multiplies the heads, so that scores differ more than a fresh model's.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = Encoder(CONFIG).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    weights = initial_heads(CONFIG.hidden_size, generator)
    weights = {name: value * spread for name, value in weights.items()}
    if rank:
        weights.update(initial_lora(CONFIG, rank, generator=generator))
    rates = initial_rates(weights, steps, lora=1e-2, heads=1e-2) if steps else {}
    return StateTracker(encoder, shared_tokens(), weights, rates)


def user(
    text: str,
    values: Optional[Mapping[str, str]] = None,
    *,
    intent: Optional[str] = "BookTable",
    requested: Sequence[str] = (),
    marks: Optional[Mapping[str, str]] = None,
) -> Turn:
    """A user turn; `values` None is a turn that says nothing to the domain."""
    state = None
    if values is not None:
        state = State({k: tuple(v.split("|")) for k, v in values.items()}, intent, tuple(requested))
    return Turn("user", text, state, spans=_spans(text, marks))


def system(
    text: str, action: Optional[str] = None, *, marks: Optional[Mapping[str, str]] = None
) -> Turn:
    """A system turn."""
    return Turn("system", text, action=action, spans=_spans(text, marks))


def _spans(text: str, marks: Optional[Mapping[str, str]]) -> Tuple[Span, ...]:
    found = []
    for slot, value in (marks or {}).items():
        start = text.index(value)
        found.append(Span(slot, start, start + len(value)))
    return tuple(found)


DAYS = ("monday", "tuesday", "friday", "sunday")
NAMES = ("anna", "bruno", "chen", "dora")
SEATS = ("inside", "terrace", "bar")


def booking(number: int, domain: str = CAFE.name) -> Dialogue:
    """The dialogue of one booking: three user turns, values vary with `number`."""
    day, name, seat = DAYS[number % 4], NAMES[number // 4 % 4], SEATS[number % 3]
    first = {"visit_day": day}
    second = {**first, "seating": seat}
    third = {**second, "guest_name": name}
    turns = (
        user(f"i need a table on {day}", first, marks={"visit_day": day}),
        system(f"for {day}: inside, terrace or bar?", marks={"visit_day": day}),
        user(f"the {seat} please", second),
        system("under which name?"),
        user(f"it is {name}", third, marks={"guest_name": name}),
        system("your table is booked", "BookTable"),
    )
    return Dialogue(f"{domain}-{number}", domain, turns)


def bookings(count: int, domain: str = CAFE.name) -> Tuple[Dialogue, ...]:
    """`count` different bookings."""
    return tuple(booking(number, domain) for number in range(count))


def corpus(services: int = 2, dialogues: int = 8) -> Corpus:
    """Several services that differ in name, with `dialogues` each."""
    schemas: Dict[str, Schema] = {}
    found: List[Dialogue] = []
    for number in range(1, services + 1):
        name = f"TableBooking_{number}"
        schemas[name] = Schema(name, CAFE.description, CAFE.slots, CAFE.intents, CAFE.actions)
        found.extend(bookings(dialogues, name))
    return Corpus(schemas, tuple(found))


def write_domains(folder: Path, found: Corpus) -> Path:
    """Write each domain as a YAML file of its name; returns the folder."""
    for name, schema in found.schemas.items():
        # YAML has no default values that are empty
        intents = tuple(
            replace(intent, optional_slots=dict.fromkeys(intent.optional_slots, "dontcare"))
            for intent in schema.intents
        )
        schema = replace(schema, intents=intents)
        write_yaml(folder / f"{name}.yml", schema, [d for d in found.dialogues if d.domain == name])
    return folder


def prompt_of(
    turns: Sequence[Turn],
    *asked: int,
    schema: Schema = CAFE,
    known: Optional[Sequence[Mapping[str, Tuple[str, ...]]]] = None,
    offers: bool = False,
) -> Prompt:
    """The prompt of `turns` with queries for the turns `asked`, of which nothing is known."""
    return build_prompt(
        shared_tokens(),
        build_schema(shared_tokens(), schema),
        turns,
        asked=asked,
        known=known if known is not None else [{}] * len(asked),
        offers=offers,
    )


def in_one_pass(
    tracker: StateTracker, batch: Batch, weights: Optional[Mapping[str, torch.Tensor]] = None
) -> Scores:
    """Scores of whole prompts, histories and queries at once: what `ask` after `remember` is to
    come to.
    """
    weights = tracker.weights if weights is None else weights
    hidden, index = tracker.remember(batch, weights).hidden, batch.queries()
    rows = index.clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
    queries = model._take(batch, index)
    return model._point(hidden.gather(1, rows), hidden, queries, batch, weights)


def examples_of(
    tokens: Tokens,
    schema: Schema,
    dialogue: Dialogue,
    rng: random.Random,
    how: Optional[Augmentation] = None,
) -> List[Example]:
    """What training makes of one dialogue, before its examples are padded to a group's batches."""
    how = how or Augmentation()
    prompt_schema = examples._varied(tokens, schema, rng, how)
    return examples._read(tokens, prompt_schema, dialogue, rng, how)
