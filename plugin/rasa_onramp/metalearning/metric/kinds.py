"""The classes that a metric learns to tell apart, from a training corpus.

- To route: domains. Examples are the messages that open a conversation about one; known without
  any are the schema's descriptions of the domain and of what users want there.
- To retrieve replies: within a domain, what the reply did. Examples are the messages that were
  answered by the same API call, asking for the same slots and stating the same ones.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple

import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.metalearning.corpus import Task
from rasa_onramp.metalearning.metric.episodes import Kind

__all__ = ["Texts", "domain_texts", "kinds_of", "opening", "reply_texts", "said", "topics"]

#: A class's name, texts of its examples, and texts that are known without any.
Texts = Tuple[str, Tuple[str, ...], Tuple[str, ...]]


def said(dialogue: Dialogue) -> List[str]:
    """The messages in which a dialogue's user says something to the domain."""
    return [turn.text for turn in dialogue.turns if turn.is_user and turn.state is not None]


def opening(dialogue: Dialogue) -> List[str]:
    """The one that opens the dialogue; none where nothing is said to the domain."""
    return said(dialogue)[:1]


def topics(schema: Schema) -> List[str]:
    """What a schema says of its domain and of each intent: descriptions, or else names."""
    found = [text for text in (schema.description, schema.name.replace("_", " ")) if text][:1]
    return found + [i.description or i.name.replace("_", " ") for i in schema.intents]


def domain_texts(tasks: Sequence[Task], most: int, rng: random.Random) -> List[List[Texts]]:
    """All domains as classes of one area; at most `most` dialogues of each open one."""
    found = []
    for task in tasks:
        dialogues = _some(task, most, rng)
        examples = dict.fromkeys(text for d in dialogues for text in opening(d))
        found.append((task.schema.name, tuple(examples), tuple(topics(task.schema))))
    return [found]


def reply_texts(tasks: Iterable[Task], most: int, rng: random.Random) -> List[List[Texts]]:
    """Each domain as an area whose classes are kinds of replies, of at most `most` dialogues."""
    found = []
    for task in tasks:
        kinds: Dict[Tuple[Any, ...], List[str]] = {}
        for reply in support_replies(task.schema, _some(task, most, rng)):
            kinds.setdefault(_does(reply), []).append(reply.situation.user)
        area: List[Texts] = [(str(k), tuple(dict.fromkeys(v)), ()) for k, v in kinds.items()]
        found.append(area)
    return found


def kinds_of(
    areas: Sequence[Sequence[Texts]], embed: Callable[[Sequence[str]], Tensor]
) -> List[List[Kind]]:
    """The classes with embeddings in place of texts; each text is embedded once."""
    texts = {text for area in areas for _, *parts in area for part in parts for text in part}
    # neighbours of one length make batches with little padding
    order = sorted(texts, key=lambda text: (len(text), text))
    rows = embed(order)
    place = {text: number for number, text in enumerate(order)}

    def rows_of(part: Sequence[str]) -> Tensor:
        return rows[torch.tensor([place[text] for text in part], dtype=torch.long)]

    return [
        [Kind(name, rows_of(examples), rows_of(known)) for name, examples, known in area]
        for area in areas
    ]


def _some(task: Task, most: int, rng: random.Random) -> List[Dialogue]:
    """Some of the dialogues about the task alone; where there are none, of the others."""
    dialogues = list(task.alone or task.mixed)
    return rng.sample(dialogues, min(most, len(dialogues)))


def _does(reply: SupportReply) -> Tuple[Any, ...]:
    """What a reply does: which call it reports and whether that found anything, what it asks for
    and what it states.
    """
    now = reply.situation
    asks, states = tuple(sorted(reply.asks)), tuple(sorted(reply.states))
    return now.in_scope, now.action, now.found, asks, states
