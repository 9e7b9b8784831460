"""Episodes to learn a metric from: classes, some examples of each, and what is to be sorted.

A class is a domain and its examples the messages that open conversations about it; or, within one
domain, a kind of reply, and its examples the messages that it answered (kinds.py makes both).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import List, Sequence, Tuple

import torch
from torch import Tensor

from rasa_onramp.errors import ConfigError

__all__ = ["Kind", "MetricEpisode", "MetricShape", "draw_metric_episode", "usable"]


@dataclass(frozen=True)
class Kind:
    """A class: embeddings of its examples, (examples, dimensions), and of what is known of it
    without any, such as a schema's descriptions, (texts, dimensions).
    """

    name: str
    examples: Tensor
    known: Tensor


@dataclass(frozen=True)
class MetricShape:
    """What episodes look like: bounds of how many classes and of how many examples of each are
    shown, queries a class, and queries of no class, as a share of the others.
    """

    ways: Tuple[int, int] = (5, 50)
    shots: Tuple[int, int] = (3, 5)
    queries: int = 2
    strangers: float = 0.5


@dataclass(frozen=True)
class MetricEpisode:
    """`support` (shown, dimensions) and the class of each, `labels` (shown,), in 0 … ways − 1;
    `queries` (asked, dimensions) and `wanted` (asked,), which is `ways` for those of no class.
    """

    support: Tensor
    labels: Tensor
    queries: Tensor
    wanted: Tensor
    ways: int


#: Classes that are told apart from each other: all domains, or one domain's kinds of replies.
Area = Sequence[Kind]


def usable(areas: Sequence[Area]) -> List[List[Kind]]:
    """The classes that have an example to show and one to ask, in areas of three or more.

    Raises ConfigError if there are none.
    """
    found = [[kind for kind in area if len(kind.examples) >= 2] for area in areas]
    found = [area for area in found if len(area) >= 3]
    if not found:
        raise ConfigError(
            "--data: metric-based learning needs three classes with two examples each, to tell two "
            "of them apart and from a third; give more domains or dialogues"
        )
    return found


def draw_metric_episode(
    areas: Sequence[Sequence[Kind]], shape: MetricShape, rng: random.Random
) -> MetricEpisode:
    """One episode of `usable` areas; each is drawn as often as it has classes.

    A third of an area's classes at least stays out of it: they are who the strangers come from.
    """
    area = rng.choices(areas, [len(kinds) for kinds in areas])[0]
    kinds = rng.sample(list(area), len(area))
    most = min(shape.ways[1], max(2, 2 * len(kinds) // 3))
    ways = rng.randint(min(shape.ways[0], most), most)
    support: List[Tensor] = []
    labels: List[int] = []
    queries: List[Tensor] = []
    wanted: List[int] = []
    for label, kind in enumerate(kinds[:ways]):
        order = rng.sample(range(len(kind.examples)), len(kind.examples))
        asked = order[: min(shape.queries, len(order) - 1)]
        shots = rng.randint(*shape.shots)
        shown = order[len(asked) : len(asked) + shots]
        support += [kind.examples[shown], kind.known]
        labels += [label] * (len(shown) + len(kind.known))
        queries.append(kind.examples[asked])
        wanted += [label] * len(asked)
    for _ in range(round(shape.strangers * len(wanted))):
        kind = rng.choice(kinds[ways:])
        queries.append(kind.examples[[rng.randrange(len(kind.examples))]])
        wanted.append(ways)
    return MetricEpisode(
        torch.cat(support), torch.tensor(labels), torch.cat(queries), torch.tensor(wanted), ways
    )
