"""Dialogues to training examples: prompts with their labels, and groups that share a schema."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.metalearning import augment
from rasa_onramp.metalearning.corpus import Task
from rasa_onramp.metalearning.noise import noisy, with_new_values
from rasa_onramp.tracker.batch import Batch, Labels, collate, collate_labels
from rasa_onramp.tracker.prompt import Prompt, build_prompt
from rasa_onramp.tracker.schema_prompt import SchemaPrompt, build_schema
from rasa_onramp.tracker.targets import Targets, known_before, label
from rasa_onramp.tracker.tokens import Tokens
from rasa_onramp.tracker.windows import windows

__all__ = ["Augmentation", "Example", "Group", "check_schemas", "group_of"]

Example = Tuple[Prompt, Targets]

#: Shares of the known values that are forgotten, one drawn a dialogue.
_FORGOTTEN = (0.15, 0.15, 0.4, 1.0)


@dataclass(frozen=True)
class Augmentation:
    """How examples are varied. All off by default, as when adapting to a support set.

    `forget`: chance that a dialogue's known values are thinned, by a seventh up to all of them, so
    that they are to be found again; `offers`: chance that the bot's own values are marked;
    `shuffle`: reorder the schema; `undescribed`: chance that half of the descriptions are left out;
    `elsewhere`: share of turns about another service that are asked; `noise`: chance that the user
    types carelessly; `new_values`: chance that values become new; `history`: utterances that a turn
    is read with, its own counted (None: all that fit).
    """

    forget: float = 0.0
    offers: float = 0.0
    shuffle: bool = False
    undescribed: float = 0.0
    elsewhere: float = 1.0
    noise: float = 0.0
    new_values: float = 0.0
    history: Optional[int] = None


def check_schemas(tokens: Tokens, tasks: Sequence[Task]) -> None:
    """Raises ConfigError if a schema, or one in other words, is too long to be read: now, rather
    than after hours of training.
    """
    for task in tasks:
        for schema in (task.schema, *(variant for variant, _ in task.variants)):
            build_schema(tokens, schema)


def _varied(tokens: Tokens, schema: Schema, rng: random.Random, how: Augmentation) -> SchemaPrompt:
    if how.shuffle:
        schema = augment.shuffled(schema, rng)
    if rng.random() < how.undescribed:
        schema = augment.undescribed(schema, rng, 0.5)
    return build_schema(tokens, schema)


def _read(
    tokens: Tokens,
    prompt_schema: SchemaPrompt,
    dialogue: Dialogue,
    rng: random.Random,
    how: Augmentation,
) -> List[Example]:
    """The examples of one dialogue: one a window, usually one in all."""
    if rng.random() < how.new_values:
        dialogue = with_new_values(dialogue, prompt_schema.schema, rng)
    if rng.random() < how.noise:
        dialogue = noisy(dialogue, rng)
    turns = dialogue.turns
    known = known_before(turns)
    if rng.random() < how.forget:
        known = augment.forget(known, rng, rng.choice(_FORGOTTEN))
    offers = rng.random() < how.offers
    found = []
    for first, asked_from, end in windows(tokens, len(prompt_schema), turns, how.history):
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


@dataclass(frozen=True)
class Group:
    """Dialogues of one domain under one wording of its schema, which is encoded once for them all.

    `schema` is the schema's prompt, one row; `parts` what was said and asked, with labels over the
    schema's tokens and then its own; `tokens` what it costs, `turns` how many turns are asked.
    """

    schema: Batch
    parts: Tuple[Tuple[Batch, Labels], ...]

    @property
    def turns(self) -> int:
        """How many turns are asked about."""
        return sum(labels.turns for _, labels in self.parts)

    @property
    def tokens(self) -> int:
        """How many tokens are encoded, padding included."""
        return self.schema.ids.numel() + sum(batch.ids.numel() for batch, _ in self.parts)


def group_of(
    tokens: Tokens,
    schema: Schema,
    dialogues: Sequence[Dialogue],
    rng: random.Random,
    how: Augmentation = Augmentation(),
    *,
    most_tokens: int = 1 << 30,
    tokens_a_part: int = 1536,
) -> Optional[Group]:
    """The dialogues as one group, those of like length in one part; None if nothing is asked.

    Dialogues that would take it beyond `most_tokens` are left out, but for the first.
    """
    prompt_schema = _varied(tokens, schema, rng, how)
    head = len(prompt_schema)
    found: List[Example] = []
    cost = head
    for dialogue in dialogues:
        examples = _read(tokens, prompt_schema, dialogue, rng, how)
        more = sum(len(prompt) - head for prompt, _ in examples)
        if found and cost + more > most_tokens:
            break
        cost += more
        found += examples
    if not found:
        return None
    parts: List[List[Example]] = []
    for example in sorted(found, key=lambda e: len(e[0])):
        if parts and (len(parts[-1]) + 1) * (len(example[0]) - head) <= tokens_a_part:
            parts[-1].append(example)
        else:
            parts.append([example])
    return Group(
        collate([build_prompt(tokens, prompt_schema, ())]),
        tuple(_part(examples, head) for examples in parts),
    )


def _part(examples: Sequence[Example], head: int) -> Tuple[Batch, Labels]:
    prompts = [prompt for prompt, _ in examples]
    batch = collate(prompts, "said")
    return batch, collate_labels(prompts, [t for _, t in examples], head + batch.ids.shape[1])
