"""Dialogues to training examples: prompts with their labels, batched by length."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Iterable, Iterator, List, Sequence, Tuple

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.metalearning import augment
from rasa_onramp.metalearning.noise import noisy, with_new_values
from rasa_onramp.tracker.batch import Batch, Labels, collate, collate_labels
from rasa_onramp.tracker.prompt import Prompt, build_prompt
from rasa_onramp.tracker.schema_prompt import build_schema
from rasa_onramp.tracker.targets import Targets, known_before, label
from rasa_onramp.tracker.tokens import Tokens
from rasa_onramp.tracker.windows import windows

__all__ = ["Augmentation", "Example", "batches", "examples_of", "to_batch"]

Example = Tuple[Prompt, Targets]


@dataclass(frozen=True)
class Augmentation:
    """How examples are varied. All off by default, as when adapting to a support set.

    `forget`: chance that a dialogue's known values are thinned by 15%; `offers`: chance that the
    bot's own values are marked; `shuffle`: reorder the schema; `undescribed`: chance that half of
    the descriptions are left out; `elsewhere`: share of turns about another service that are asked;
    `noise`: chance that the user types carelessly; `new_values`: chance that values become new.
    """

    forget: float = 0.0
    offers: float = 0.0
    shuffle: bool = False
    undescribed: float = 0.0
    elsewhere: float = 1.0
    noise: float = 0.0
    new_values: float = 0.0


def examples_of(
    tokens: Tokens,
    schema: Schema,
    dialogue: Dialogue,
    rng: random.Random,
    how: Augmentation = Augmentation(),
) -> List[Example]:
    """The examples of one dialogue: one a window, usually one in all."""
    if rng.random() < how.new_values:
        dialogue = with_new_values(dialogue, schema, rng)
    if rng.random() < how.noise:
        dialogue = noisy(dialogue, rng)
    if how.shuffle:
        schema = augment.shuffled(schema, rng)
    if rng.random() < how.undescribed:
        schema = augment.undescribed(schema, rng, 0.5)
    prompt_schema = build_schema(tokens, schema)
    turns = dialogue.turns
    known = known_before(turns)
    if rng.random() < how.forget:
        known = augment.forget(known, rng, 0.15)
    offers = rng.random() < how.offers
    found = []
    for first, asked_from, end in windows(tokens, len(prompt_schema), turns):
        asked = [
            i
            for i in range(asked_from, end)
            if turns[i].is_user and (turns[i].state is not None or rng.random() < how.elsewhere)
        ]
        if not asked:
            continue
        before = [known[i] for i in asked]
        prompt = build_prompt(
            tokens,
            prompt_schema,
            turns,
            first=first,
            end=max(asked) + 1,
            asked=asked,
            known=before,
            offers=offers,
        )
        found.append((prompt, label(prompt, before)))
    return found


def to_batch(examples: Sequence[Example]) -> Tuple[Batch, Labels]:
    """Pad and stack examples."""
    prompts = [prompt for prompt, _ in examples]
    batch = collate(prompts)
    return batch, collate_labels(prompts, [t for _, t in examples], batch.ids.shape[1])


def batches(
    examples: Iterable[Example], *, tokens_a_batch: int, pool: int, rng: random.Random
) -> Iterator[Tuple[Batch, Labels]]:
    """Batches of examples of like length, at most `tokens_a_batch` padded tokens each.

    Reads `pool` examples at a time, sorts them by length, and shuffles the batches made of them.
    """
    waiting: List[Example] = []
    for example in examples:
        waiting.append(example)
        if len(waiting) >= pool:
            yield from _flush(waiting, tokens_a_batch, rng)
            waiting = []
    yield from _flush(waiting, tokens_a_batch, rng)


def _flush(
    waiting: List[Example], tokens_a_batch: int, rng: random.Random
) -> Iterator[Tuple[Batch, Labels]]:
    waiting = sorted(waiting, key=lambda e: len(e[0]))
    groups: List[List[Example]] = []
    for example in waiting:
        if groups and (len(groups[-1]) + 1) * len(example[0]) <= tokens_a_batch:
            groups[-1].append(example)
        else:
            groups.append([example])
    rng.shuffle(groups)
    for group in groups:
        yield to_batch(group)
