"""Episodes: a service, a few of its dialogues to adapt on, others of them to be judged by."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Dict, Mapping, Sequence, Tuple

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.metalearning.augment import Renaming, translate
from rasa_onramp.metalearning.corpus import Task, draw
from rasa_onramp.metalearning.examples import Augmentation, Example, examples_of
from rasa_onramp.tracker.tokens import Tokens

__all__ = ["Episode", "EpisodeConfig", "draw_episode", "opaque"]


@dataclass(frozen=True)
class EpisodeConfig:
    """How episodes are drawn.

    `shots` maps a support size to its weight; size 0 keeps zero-shot in the objective. `opaque` is
    the chance that some slots' names say nothing, so that only the support tells what they hold
    (tasks that the initialisation can solve without adapting teach it nothing about adapting; Yin
    et al. 2020 call this memorisation).
    """

    shots: Mapping[int, float]
    queries: int = 3
    opaque: float = 0.25


@dataclass(frozen=True)
class Episode:
    """`support` has one list of examples a dialogue; `query` is what the outer loss is taken on."""

    service: str
    support: Tuple[Tuple[Example, ...], ...]
    query: Tuple[Example, ...]


def draw_episode(
    tokens: Tokens,
    tasks: Sequence[Task],
    weights: Sequence[float],
    config: EpisodeConfig,
    rng: random.Random,
    *,
    support: Augmentation,
    query: Augmentation,
) -> Episode:
    """Draw a task, a wording of its schema, and different dialogues for support and query."""
    task = rng.choices(list(tasks), list(weights))[0]
    shots = rng.choices(list(config.shots), list(config.shots.values()))[0]
    schema, dialogues = draw(task, rng, shots + config.queries)
    if shots > 1 and rng.random() < config.opaque:
        schema, names = opaque(schema, rng)
        dialogues = [translate(d, names, schema.name) for d in dialogues]
    # one episode is one deployment: the bot's own values are marked in all of it or in none
    offers = float(rng.random() < query.offers)
    support, query = replace(support, offers=offers), replace(query, offers=offers)

    def examples(dialogue: Dialogue, how: Augmentation) -> Tuple[Example, ...]:
        return tuple(examples_of(tokens, schema, dialogue, rng, how))

    return Episode(
        service=task.schema.name,
        support=tuple(e for e in (examples(d, support) for d in dialogues[:shots]) if e),
        query=tuple(e for d in dialogues[shots:] for e in examples(d, query)),
    )


def opaque(schema: Schema, rng: random.Random, share: float = 0.5) -> Tuple[Schema, Renaming]:
    """The schema with a random `share` of its slots renamed "slot n" and left undescribed."""
    names: Dict[str, str] = {}
    slots = []
    for number, slot in enumerate(schema.slots, start=1):
        if rng.random() < share:
            names[slot.name] = f"slot_{number}"
            slot = replace(slot, name=names[slot.name], description="")
        slots.append(slot)
    intents = tuple(
        replace(
            intent,
            required_slots=tuple(names.get(s, s) for s in intent.required_slots),
            optional_slots={names.get(s, s): v for s, v in intent.optional_slots.items()},
        )
        for intent in schema.intents
    )
    return replace(schema, slots=tuple(slots), intents=intents), Renaming(names, {}, {})
