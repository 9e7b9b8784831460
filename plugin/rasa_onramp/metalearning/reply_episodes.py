"""Episodes to learn replies from, packed: made once, read by every training run.

Making them takes spaCy and a sentence encoder and, delexicalising some eighty replies a second, is
slower than reading them; a GPU machine gets the file.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Iterator, List, Mapping, Sequence, Tuple, Union

import numpy
import torch

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.embedding import Embed
from rasa_onramp.errors import ConfigError, FormatError
from rasa_onramp.generator.packing import Packed, ReplyTokens, pack
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.prompt import exchanges
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.memory import MEGABYTE, LastUsed, bytes_of
from rasa_onramp.metalearning.corpus import Task, draw, stream
from rasa_onramp.whole_files import whole

__all__ = [
    "KnownReplies",
    "ReplyEpisode",
    "make_episodes",
    "packed_dialogues",
    "read_episodes",
    "support_and_queries",
    "write_episodes",
]

#: Support size → its weight. Size 0 keeps replies from a schema alone in the objective.
SHOTS: Mapping[int, float] = {0: 0.1, 1: 0.1, 2: 0.15, 3: 0.15, 5: 0.5}

#: Dialogues that are judged by.
QUERIES = 2


@dataclass(frozen=True)
class ReplyEpisode:
    """A service's support dialogues, each read with the others to copy from, and query dialogues
    read with all of the support.
    """

    service: str
    support: Tuple[Packed, ...]
    query: Tuple[Packed, ...]


class KnownReplies:
    """The replies of dialogues, kept for when a dialogue is drawn again: delexicalising is slow."""

    def __init__(self, limit: int = 256 * MEGABYTE):
        self._kept: LastUsed[Tuple[str, bytes], Tuple[SupportReply, ...]] = LastUsed(limit)

    def of(self, schema: Schema, dialogue: Dialogue) -> Tuple[SupportReply, ...]:
        """Those of one dialogue in this wording of its domain."""
        # another wording may have the domain's own name, and differ in any other
        key = (dialogue.id, blake2b(repr(schema).encode()).digest())
        found = self._kept.get(key)
        if found is None:
            found = support_replies(schema, [dialogue])
            self._kept.put(key, found, bytes_of(found))
        return found


def support_and_queries(
    tokens: ReplyTokens,
    schema: Schema,
    support: Sequence[Sequence[SupportReply]],
    queries: Sequence[Sequence[SupportReply]],
    embed: Embed,
) -> ReplyEpisode:
    """The episode of some dialogues, each given as its replies."""
    situations = [r.situation for replies in (*support, *queries) for r in replies]
    texts = list(dict.fromkeys(text for s in situations for text in (s.user, s.system)))
    rows = dict(zip(texts, embed(texts)))  # all at once: a text at a time is many times slower
    known = [reply for replies in support for reply in replies]
    pool = ReplyPool(schema, known, lambda some: torch.stack([rows[text] for text in some]))

    return ReplyEpisode(
        schema.name,
        packed_dialogues(tokens, schema, support, pool),
        packed_dialogues(tokens, schema, queries, pool),
    )


def packed_dialogues(
    tokens: ReplyTokens,
    schema: Schema,
    dialogues: Sequence[Sequence[SupportReply]],
    pool: ReplyPool,
) -> Tuple[Packed, ...]:
    """Dialogues, each given as its replies, read with all of the pool's but their own.

    Those without a reply are left out.
    """
    return tuple(
        pack(tokens, schema, exchanges(schema, replies, pool, leave_out=[replies[0].dialogue]))
        for replies in dialogues
        if replies
    )


def make_episodes(
    tokens: ReplyTokens, tasks: Sequence[Task], count: int, seed: int, embed: Embed
) -> Iterator[ReplyEpisode]:
    """`count` episodes, services drawn by their weights and in one wording each.

    Raises ConfigError if hardly a dialogue of the tasks has a reply.
    """
    rng = random.Random(seed)
    known, made = KnownReplies(), 0
    for task in islice(stream(tasks, rng), 100 * count):
        if made == count:
            return
        shots = rng.choices(list(SHOTS), list(SHOTS.values()))[0]
        schema, dialogues = draw(task, rng, shots + QUERIES, paraphrase=0.5)
        found = [known.of(schema, dialogue) for dialogue in dialogues]
        episode = support_and_queries(tokens, schema, found[QUERIES:], found[:QUERIES], embed)
        if episode.query:
            made += 1
            yield replace(episode, service=task.schema.name)  # a wording may have another
    if made < count:
        raise ConfigError("the corpus has too few dialogues with replies; give another one")


def write_episodes(
    path: Union[str, Path], episodes: Sequence[ReplyEpisode], vocabulary: str
) -> None:
    """Write episodes to one file, whole or not at all. `vocabulary` says what their ids stand for
    (`ReplyTokens.vocabulary`).
    """
    sequences = [s for e in episodes for s in (*e.support, *e.query)]
    arrays = {
        "ids": numpy.concatenate([s.ids for s in sequences]).astype(numpy.uint32),
        "learned": numpy.packbits(numpy.concatenate([s.learned for s in sequences])),
        "lengths": numpy.array([len(s.ids) for s in sequences], dtype=numpy.int64),
        "parts": numpy.array([(len(e.support), len(e.query)) for e in episodes], numpy.int64),
        "services": numpy.array([e.service for e in episodes]),
        "vocabulary": numpy.array(vocabulary),
    }
    with whole(Path(path)) as temporary, temporary.open("wb") as file:
        numpy.savez_compressed(file, **arrays)


def read_episodes(path: Union[str, Path], vocabulary: str) -> List[ReplyEpisode]:
    """Read what `write_episodes` wrote. Raises FormatError, also where it is of another
    `vocabulary`; files of earlier versions don't say.
    """
    try:
        with Path(path).open("rb") as data, numpy.load(data, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        ends = numpy.cumsum(arrays["lengths"])
        total = int(ends[-1])
        ids = arrays["ids"].astype(numpy.int64)
        learned = numpy.unpackbits(arrays["learned"], count=total).astype(bool)
        whole = len(ids) == total and len(arrays["learned"]) == -(-total // 8)
        if not whole or int(arrays["parts"].sum()) != len(ends):
            raise ValueError("its parts don't fit each other")
        of_this = str(arrays.get("vocabulary", vocabulary)) == vocabulary
        cuts = ends[:-1]
        sequences = iter(map(Packed, numpy.split(ids, cuts), numpy.split(learned, cuts)))
        found = [
            ReplyEpisode(
                str(service),
                tuple(next(sequences) for _ in range(support)),
                tuple(next(sequences) for _ in range(query)),
            )
            for service, (support, query) in zip(arrays["services"], arrays["parts"])
        ]
    except Exception as error:  # a damaged archive fails in zipfile, zlib, tokenize, numpy, …
        raise FormatError(
            f"not packed episodes ({error})", path=path, mend="pack them again"
        ) from None
    if not of_this:
        raise FormatError(
            "packed for another language model, whose tokens are others",
            path=path,
            mend="name that model, or pack again with this one (--language-model)",
        )
    return found
