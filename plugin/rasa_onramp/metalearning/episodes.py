"""Episodes: a service, a few of its dialogues to adapt on, others of them to be judged by."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.metalearning.augment import Renaming, translate
from rasa_onramp.metalearning.corpus import Task, draw
from rasa_onramp.metalearning.examples import Augmentation, Group, group_of
from rasa_onramp.tracker.tokens import Tokens

__all__ = [
    "Episode",
    "EpisodeConfig",
    "draw_episode",
    "going_round",
    "inner_groups",
    "opaque",
    "usable",
]

Item = TypeVar("Item")


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
    """`support` is read anew at each inner step; `query` is what the outer loss is taken on.

    `judged`: the dialogues of `query`. `offers`: whether the bot's own values are marked.
    """

    schema: Schema
    support: Tuple[Dialogue, ...]
    judged: Tuple[Dialogue, ...]
    query: Optional[Group]
    offers: bool


def draw_episode(
    tokens: Tokens,
    tasks: Sequence[Task],
    weights: Sequence[float],
    config: EpisodeConfig,
    rng: random.Random,
    *,
    query: Augmentation,
) -> Episode:
    """Draw a task, a wording of its schema, and different dialogues for support and query."""
    task = rng.choices(list(tasks), list(weights))[0]
    shots = rng.choices(list(config.shots), list(config.shots.values()))[0]
    schema, dialogues = draw(task, rng, shots + config.queries)
    shots = min(shots, max(len(dialogues) - 1, 0))  # where there are few, one is left to judge by
    if shots > 1 and rng.random() < config.opaque:
        schema, names = opaque(schema, rng)
        dialogues = [translate(d, names, schema.name) for d in dialogues]
    # one episode is one deployment: the bot's own values are marked in all of it or in none
    offers = rng.random() < query.offers
    query = replace(query, offers=float(offers))
    support, judged = tuple(dialogues[:shots]), tuple(dialogues[shots:])
    return Episode(schema, support, judged, group_of(tokens, schema, judged, rng, query), offers)


def inner_groups(
    tokens: Tokens,
    schema: Schema,
    support: Sequence[Dialogue],
    rng: random.Random,
    how: Augmentation,
    *,
    steps: int,
    size: int,
) -> Iterator[Group]:
    """What each inner step is taken on: `size` support dialogues, going round the shuffled set.

    They are read anew at every step, when it is asked for, varied as `how` says. Dialogues without
    a user turn are left out; with none that has one there are no steps.
    """
    found = usable(support)
    batches = going_round(found, size, rng)
    taken = 0
    while found and taken < steps:
        group = group_of(tokens, schema, next(batches), rng, how)
        if group is not None:
            taken += 1
            yield group


def usable(support: Sequence[Dialogue]) -> List[Dialogue]:
    """The dialogues that an inner step can be taken on: those with a user turn."""
    return [dialogue for dialogue in support if any(turn.is_user for turn in dialogue.turns)]


def going_round(items: Sequence[Item], size: int, rng: random.Random) -> Iterator[List[Item]]:
    """Batches of `size` different items for ever (of all, where there are fewer), going round them
    in an order that is drawn anew each time.
    """
    order: List[int] = []
    while True:
        chosen: List[int] = []
        while len(chosen) < min(size, len(items)):
            if not order:
                order = rng.sample(range(len(items)), len(items))
            number = order.pop()
            if number not in chosen:
                chosen.append(number)
        yield [items[number] for number in chosen]


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
    actions = tuple(
        replace(
            action,
            required_slots=tuple(names.get(s, s) for s in action.required_slots),
            optional_slots=tuple(names.get(s, s) for s in action.optional_slots),
            result_slots=tuple(names.get(s, s) for s in action.result_slots),
        )
        for action in schema.actions
    )
    renamed = replace(schema, slots=tuple(slots), intents=intents, actions=actions)
    return renamed, Renaming(names, {}, {})
