"""The training corpus as tasks: one a service, each with its paraphrased schemas."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Corpus, Dialogue, Schema, conversation
from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning import augment
from rasa_onramp.metalearning.augment import Renaming

__all__ = ["Task", "draw", "stream", "tasks_of", "wordings_of"]


@dataclass(frozen=True)
class Task:
    """A service to learn: its schema, other wordings of it, and dialogues about it.

    `alone` are dialogues about this service only; `mixed` also speak of others.
    """

    schema: Schema
    variants: Tuple[Tuple[Schema, Renaming], ...]
    alone: Tuple[Dialogue, ...]
    mixed: Tuple[Dialogue, ...]

    @property
    def weight(self) -> float:
        """How often to draw it: its turns to the power of 0.3.

        The exponent is XLM-R's for languages with little text (Conneau et al. 2020). By the square
        root, a service of SGD came nine times as often as a hand-written domain, and had long been
        learned when those had not.
        """
        return sum(len(d.turns) for d in self.alone + self.mixed) ** 0.3


def tasks_of(
    corpus: Corpus,
    paraphrases: Sequence[Mapping[str, Schema]] = (),
    whole: Optional[Corpus] = None,
) -> List[Task]:
    """The corpus by service. `whole` is what it is a part of, and tells which conversations speak
    of other services, too (None: it is whole itself).

    `paraphrases` are schema sets that list the same services in the same order (as SGD-X does);
    each becomes a variant of its service. Raises ConfigError where one doesn't correspond.
    """
    services = Counter(conversation(dialogue) for dialogue in (whole or corpus).dialogues)
    names = list(corpus.schemas)
    for other in paraphrases:
        if len(other) != len(names):
            raise ConfigError(
                f"a paraphrase has {len(other)} services, but the corpus has {len(names)}; "
                "give one with the same services in the same order"
            )
    tasks = []
    for place, name in enumerate(names):
        schema = corpus.schemas[name]
        others = [list(p.values())[place] for p in paraphrases]
        variants = tuple((other, augment.renaming(schema, other)) for other in others)
        own = [d for d in corpus.dialogues if d.domain == name]
        alone = tuple(d for d in own if services[conversation(d)] == 1)
        mixed = tuple(augment.crop(d) for d in own if services[conversation(d)] > 1)
        mixed = tuple(d for d in mixed if d.turns)
        if alone or mixed:
            tasks.append(Task(schema, variants, alone, mixed))
    return tasks


def wordings_of(tasks: Sequence[Task]) -> int:
    """How many schemas the tasks have, paraphrases among them."""
    return sum(1 + len(task.variants) for task in tasks)


def draw(
    task: Task, rng: random.Random, count: int, *, mixed: float = 0.15, paraphrase: float = 0.75
) -> Tuple[Schema, List[Dialogue]]:
    """`count` different dialogues of a task under one wording of its schema.

    `mixed` is the share of dialogues that also speak of other services, `paraphrase` the chance of
    another wording.
    """
    chosen: List[Dialogue] = []
    alone, other = list(task.alone), list(task.mixed)
    for _ in range(min(count, len(alone) + len(other))):
        pool = other if other and (not alone or rng.random() < mixed) else alone
        chosen.append(pool.pop(rng.randrange(len(pool))))
    if task.variants and rng.random() < paraphrase:
        schema, names = rng.choice(task.variants)
        return schema, [augment.translate(d, names, schema.name) for d in chosen]
    return task.schema, chosen


def stream(tasks: Sequence[Task], rng: random.Random) -> Iterator[Task]:
    """Tasks without end, by their weights."""
    weights = [task.weight for task in tasks]
    while True:
        yield rng.choices(tasks, weights)[0]
