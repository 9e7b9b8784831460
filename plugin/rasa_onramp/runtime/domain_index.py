"""Domains as the router sees them: their utterances' embeddings, and how like them a message is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.dialogue import Dialogue, Schema, Slot
from rasa_onramp.embedding import Embed
from rasa_onramp.metalearning.metric.kinds import opening, said, topics
from rasa_onramp.runtime.background import Background, Heard
from rasa_onramp.runtime.shortlist import Shortlist
from rasa_onramp.runtime.words import WordIndex, Words, WordStack

__all__ = ["COMPARED", "Crowd", "DomainIndex", "Likeness", "written"]

#: Of how many of a domain's messages that are nearest to one the likenesses are averaged.
_NEAREST = 3

#: What likeness as any message, and as an opening one, is made of: the nearest messages, the
#: openings' mean, the topic, the nearest slot. Then what a deviation of the words counts beside one
#: of that. Near what bench/router_weights.py fits; around it little changes.
_WEIGHTS = torch.tensor([[0.45, 0.0, 0.27, 0.28], [0.0, 0.35, 0.35, 0.3]])
_WORDS = 0.55

#: How many of a slot's values are read with its name.
_VALUES = 6

#: How many domains a shortlist has for their words.
_BY_WORDS = 32

#: Up to how many domains a message is compared with each of them: with that many, a shortlist takes
#: as long (bench/routing_scale.py measures both).
COMPARED = 320


@dataclass(frozen=True)
class Likeness:
    """Of a message to a domain, in deviations: as any message of it, as the opening one; and the
    plain cosine to the nearest message of its support dialogues.
    """

    message: float
    opening: float
    nearest: float


class DomainIndex:
    """A domain as the router sees it: the embeddings of its `messages`, of the `openings` among
    them, of its `topics` and `slots`, each (count, dimensions); and its `words`: of all that is
    said in it, and of what opens a conversation.
    """

    def __init__(
        self,
        messages: Tensor,
        openings: Tensor,
        topics: Tensor,
        slots: Tensor,
        words: Tuple[Words, Words],
        background: Background,
    ):
        self.messages = messages
        self.slots = slots
        self.words = words
        self.opening = F.normalize(openings.mean(0), dim=0)
        self.topic = F.normalize(topics.mean(0), dim=0)
        usual = self.parts(background.centres) @ _WEIGHTS.T
        self.mean, self.spread = usual.mean(0), usual.std(0).clamp(min=1e-3)
        self.usual_words = tuple(map(background.vocabulary.usual, words))

    @classmethod
    def build(
        cls, schema: Schema, support: Sequence[Dialogue], embed: Embed, background: Background
    ) -> DomainIndex:
        """From a domain's schema and support dialogues (which may be none)."""
        about = topics(schema)
        slots = [text for slot in schema.slots for text in _told(slot)]
        messages = [text for dialogue in support for text in said(dialogue)]
        openings = [text for dialogue in support for text in opening(dialogue)]
        texts = (messages or about, openings or about, about, slots or about)
        words = written(schema)
        spoken = [turn.text for dialogue in support for turn in dialogue.turns]
        return cls._of(texts, (words + spoken, words + openings), embed, background)

    @classmethod
    def of_bot(
        cls, examples: Mapping[str, Sequence[str]], embed: Embed, background: Background
    ) -> Optional[DomainIndex]:
        """From what a host bot's own intents are trained on; None if that is nothing."""
        texts = [text for intent in examples.values() for text in intent if text.strip()]
        return cls._of((texts,) * 4, (texts, texts), embed, background) if texts else None

    @classmethod
    def _of(
        cls,
        parts: Sequence[Sequence[str]],
        words: Tuple[Sequence[str], Sequence[str]],
        embed: Embed,
        background: Background,
    ) -> DomainIndex:
        texts = list(dict.fromkeys(text for part in parts for text in part))
        rows = dict(zip(texts, background.centred(embed(texts))))
        # parts that are equal are held, and compared with a message, once
        held = {part: torch.stack([rows[text] for text in part]) for part in set(map(tuple, parts))}
        messages, openings, topics, slots = (held[tuple(part)] for part in parts)
        said, opens = map(background.vocabulary.words, words)
        return cls(messages, openings, topics, slots, (said, opens), background)

    def likeness(self, heard: Heard) -> Likeness:
        """Of a message to this domain."""
        return self._alone.likenesses(heard)[0]

    @cached_property
    def _alone(self) -> _Stack:
        return _Stack([self])

    def stand_ins(self) -> Tensor:
        """Vectors whose product with (row, 1) is near the deviations as a message and as an
        opening, (2, dimensions + 1), but for words: as if all of a domain's messages were their
        mean, and its slots theirs.
        """
        middle, slot = (F.normalize(rows.mean(0), dim=0) for rows in (self.messages, self.slots))
        parts = torch.stack([middle, self.opening, self.topic, slot])
        scaled = torch.cat([_WEIGHTS @ parts, -self.mean[:, None]], 1)
        return scaled / self.spread[:, None]

    def parts(self, rows: Tensor) -> Tensor:
        """What likenesses to centred embeddings are made of but for words, (rows, 4)."""
        found = self.messages @ rows.T
        nearest = found.topk(min(_NEAREST, len(found)), dim=0).values.mean(0)
        slot = (found if self.slots is self.messages else self.slots @ rows.T).max(0).values
        return torch.stack([nearest, rows @ self.opening, rows @ self.topic, slot], 1)


def written(schema: Schema) -> List[str]:
    """All texts that a schema has words in."""
    found = [schema.description, schema.name.replace("_", " ")]
    found += [intent.description for intent in schema.intents]
    return found + [text for slot in schema.slots for text in (slot.description, *slot.values)]


def _told(slot: Slot) -> Tuple[str, ...]:
    """What a slot is, and how its values look."""
    name = slot.name.replace("_", " ")
    values = f"{name}: {', '.join(slot.values[:_VALUES])}" if slot.values else name
    return (slot.description, values) if slot.description else (values,)


class Crowd:
    """Domains to choose among. Where they are more than `compared`, a message is compared with
    those of a shortlist only. `before` is a crowd of nearly the same domains, if there is one.
    """

    def __init__(
        self,
        indexes: Mapping[str, DomainIndex],
        before: Optional[Crowd] = None,
        *,
        compared: int = COMPARED,
    ):
        self._indexes = dict(indexes)
        self._names = tuple(indexes)
        self._all: Optional[_Stack] = None
        self._shortlist: Optional[Shortlist] = None
        self._words: Optional[WordIndex] = None
        #: Each domain's index with its stand-ins, which are computed once.
        self._stand_ins: Dict[str, Tuple[DomainIndex, Tensor]] = {}
        if not indexes:
            return
        if len(indexes) <= compared:
            self._all = _stack_of(list(indexes.values()))
            return
        known = {} if before is None else before._stand_ins
        for name, index in self._indexes.items():
            there = known.get(name)
            kept = there if there is not None and there[0] is index else (index, index.stand_ins())
            self._stand_ins[name] = kept
        vectors = torch.stack([rows for _, rows in self._stand_ins.values()])
        self._shortlist = Shortlist(vectors, None if before is None else before._shortlist)
        self._words = WordIndex(
            [index.words[0] for index in self._indexes.values()],
            [index.usual_words[0] for index in self._indexes.values()],
        )

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._indexes

    def only(self, name: str) -> Crowd:
        """A crowd of one of them."""
        return Crowd({name: self._indexes[name]})

    def likenesses(self, heard: Heard, active: Optional[str] = None) -> Dict[str, Likeness]:
        """Of a message to the domains that may be the likeliest and to the `active` one."""
        if self._all is not None:
            return dict(zip(self._names, self._all.likenesses(heard)))
        if self._shortlist is None or self._words is None:
            return {}
        row = torch.cat([heard.row, heard.row.new_ones(1)])
        numbers = [*self._shortlist.of(row), *self._words.of(heard.words, _BY_WORDS)]
        chosen = list(dict.fromkeys(self._names[number] for number in numbers))
        if active is not None and active not in chosen:
            chosen.append(active)
        stack = _stack_of([self._indexes[name] for name in chosen])
        return dict(zip(chosen, stack.likenesses(heard)))


class _Stack:
    """Several domains at once: one product of matrices for them all."""

    def __init__(self, indexes: Sequence[DomainIndex]):
        self._messages = _Rows([each.messages for each in indexes])
        self._slots = self._messages
        if any(each.slots is not each.messages for each in indexes):
            self._slots = _Rows([each.slots for each in indexes])
        self._opening = torch.stack([each.opening for each in indexes])
        self._topic = torch.stack([each.topic for each in indexes])
        self._words = WordStack(
            [words for each in indexes for words in each.words],
            [usual for each in indexes for usual in each.usual_words],
        )
        self._mean = torch.stack([each.mean for each in indexes])
        self._spread = torch.stack([each.spread for each in indexes])
        self._several = torch.tensor([min(_NEAREST, len(each.messages)) for each in indexes])
        self._lacking = torch.arange(int(self._several.max())) >= self._several[:, None]

    def likenesses(self, heard: Heard) -> List[Likeness]:
        """Of a message to each domain."""
        row = heard.row
        said = self._messages.times(row)
        slot = (said if self._slots is self._messages else self._slots.times(row)).max(1).values
        top = said.topk(self._lacking.shape[1], dim=1).values
        nearest = top.masked_fill(self._lacking, 0).sum(1) / self._several
        parts = torch.stack([nearest, self._opening @ row, self._topic @ row, slot], 1)
        deviations = (parts @ _WEIGHTS.T - self._mean) / self._spread
        deviations += _WORDS * self._words.deviations(heard.said).view_as(deviations)
        return [
            Likeness(message, opening, near)
            for (message, opening), near in zip(deviations.tolist(), top[:, 0].tolist())
        ]


def _stack_of(indexes: List[DomainIndex]) -> _Stack:
    return indexes[0]._alone if len(indexes) == 1 else _Stack(indexes)


class _Rows:
    """Several domains' rows, (all rows, dimensions)."""

    def __init__(self, parts: Sequence[Tensor]):
        self._rows = parts[0] if len(parts) == 1 else torch.cat(list(parts))
        lengths = torch.tensor([len(part) for part in parts])[:, None]
        along = torch.arange(int(lengths.max()))[None]
        places = lengths.cumsum(0) - lengths + along
        # beyond a domain's own rows the place after all of them stands
        self._at = places.masked_fill(along >= lengths, len(self._rows))
        self._nothing = self._rows.new_full((1,), -math.inf)

    def times(self, row: Tensor) -> Tensor:
        """Products with a message's row by domain, (domains, most rows of one), −∞ where a domain
        has no more.
        """
        return torch.cat([self._rows @ row, self._nothing])[self._at]
