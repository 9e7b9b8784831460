"""What a tracker is measured under: lessons to learn from, and conditions to be measured in."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from typing import Callable, Iterator, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.metalearning.augment import Renaming, shuffled, translate
from rasa_onramp.metalearning.noise import noisy
from robustness_parts.support import mislabelled, without_a_slot
from robustness_parts.typos import mistyped, recased

__all__ = [
    "CLEAN",
    "GROUPS",
    "MISSED",
    "PARAPHRASED",
    "Condition",
    "Lesson",
    "Study",
    "Variants",
    "lessons",
    "studies",
]

CLEAN, PARAPHRASED, ORDER = "clean", "paraphrased schema", "shuffled schema"
WRONG, MISSED = "wrong labels in a fifth of the support", "a slot that the support never mentions"
ORDERS = 3

#: Other ways to type what the users of the held-out dialogues say.
TYPING: Mapping[str, Callable[[Dialogue, random.Random], Dialogue]] = {
    "typos in 5% of words": partial(mistyped, rate=0.05),
    "typos in 10% of words": partial(mistyped, rate=0.10),
    "typos in 20% of words": partial(mistyped, rate=0.20),
    "typos in 10% of words, values too": partial(mistyped, rate=0.10, values=True),
    "careless typing, as in training": noisy,
    "lower case": lambda dialogue, rng: recased(dialogue, str.lower),
    "upper case": lambda dialogue, rng: recased(dialogue, str.upper),
}

#: Conditions of one kind are reported as their mean. In the order of the tables.
GROUPS = (CLEAN, PARAPHRASED, ORDER, *TYPING, WRONG, MISSED)

Variants = Mapping[str, Sequence[Tuple[Schema, Renaming]]]


@dataclass(frozen=True)
class Study:
    """A service under one seed: K support dialogues, others in `reserve`, and those held out.

    `variants` are other wordings of its schema.
    """

    schema: Schema
    variants: Tuple[Tuple[Schema, Renaming], ...]
    support: Tuple[Dialogue, ...]
    reserve: Tuple[Dialogue, ...]
    held_out: Tuple[Dialogue, ...]
    seed: int


@dataclass(frozen=True)
class Condition:
    """What is tracked: dialogues under a schema. `slot` is one to be measured by itself."""

    name: str
    group: str
    schema: Schema
    held_out: Tuple[Dialogue, ...]
    slot: Optional[str] = None


@dataclass(frozen=True)
class Lesson:
    """What is learned from, and every condition that what was learned is measured in."""

    schema: Schema
    support: Tuple[Dialogue, ...]
    conditions: Tuple[Condition, ...]


def studies(
    corpus: Corpus, services: Sequence[str], protocol: Protocol, variants: Variants
) -> Iterator[Study]:
    """A study a service and seed, with the dialogues that the protocol draws."""
    (shots,) = protocol.shots
    for one in splits(corpus, services, replace(protocol, limit=None)):
        measured = len(one.held_out) if protocol.limit is None else protocol.limit
        rest = () if protocol.own_split else one.held_out[measured:]
        yield Study(
            schema=one.schema,
            variants=tuple(variants.get(one.schema.name, ())),
            support=one.pool[:shots],
            reserve=(*one.pool[shots:], *rest),
            held_out=one.held_out[:measured],
            seed=one.seed,
        )


def lessons(study: Study) -> Iterator[Lesson]:
    """All lessons and conditions of a study, the clean ones first. The same for the same study."""
    missed = without_a_slot(study.support, study.reserve, study.held_out)
    slot = missed[0] if missed else None
    clean = Condition(CLEAN, CLEAN, study.schema, study.held_out, slot)
    yield Lesson(study.schema, study.support, (clean, *_typed_otherwise(study), *_orders(study)))
    for number, (schema, names) in enumerate(study.variants, start=1):
        held_out = tuple(translate(d, names, schema.name) for d in study.held_out)
        condition = Condition(f"{PARAPHRASED} {number}", PARAPHRASED, schema, held_out)
        support = tuple(translate(d, names, schema.name) for d in study.support)
        yield Lesson(schema, support, (condition,))
    wrong = mislabelled(study.support, study.schema, _rng(study, WRONG))
    yield Lesson(study.schema, wrong, (Condition(WRONG, WRONG, study.schema, study.held_out),))
    if missed is not None:
        condition = Condition(MISSED, MISSED, study.schema, study.held_out, slot)
        yield Lesson(study.schema, missed[1], (condition,))


def _typed_otherwise(study: Study) -> Iterator[Condition]:
    for name, change in TYPING.items():
        # the same draws for all kinds: more typos are the same ones and others
        dialogues = (change(d, _rng(study, f"typing {d.id}")) for d in study.held_out)
        yield Condition(name, name, study.schema, tuple(dialogues))


def _orders(study: Study) -> Iterator[Condition]:
    """The schema in other orders, after learning from it in its own."""
    for number in range(1, ORDERS + 1):
        name = f"{ORDER} {number}"
        schema = shuffled(study.schema, _rng(study, name))
        yield Condition(name, ORDER, schema, study.held_out)


def _rng(study: Study, what: str) -> random.Random:
    """Draws for one thing only, whatever else is drawn."""
    return random.Random(f"{study.schema.name} {study.seed} {what}")
