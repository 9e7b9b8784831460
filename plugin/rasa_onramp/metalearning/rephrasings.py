"""Pairs of replies that say the same thing, to learn rephrasing from.

Two system turns of one domain that state the same slots, ask for the same ones, after the same API
call, and are alike as texts, are two wordings of one reply: SGD's were written by people from the
same dialogue act. A dialogue is packed with, at each such reply, another wording to say anew.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from rasa_onramp.embedding import Embed
from rasa_onramp.errors import ConfigError
from rasa_onramp.generator.packing import ReplyTokens, pack
from rasa_onramp.generator.placeholders import in_words, placeholder_names
from rasa_onramp.generator.pool import rows_of
from rasa_onramp.generator.prompt import Exchange
from rasa_onramp.generator.rephrasing import REPHRASING, keeps, said, saying
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.metalearning.corpus import Task, draw, stream
from rasa_onramp.metalearning.reply_episodes import ReplyEpisode

__all__ = ["make_rephrasings", "wordings"]

#: Dialogues of a service among which wordings are looked for.
_DIALOGUES = 24

#: Dialogues that are packed of them.
_PACKED = 4

#: How alike two wordings are, as the cosine of their embedded texts. Less is another meaning more
#: often than not; beyond, nothing is left to learn.
_ALIKE, _NO_MORE = 0.8, 0.99


def make_rephrasings(
    tokens: ReplyTokens, tasks: Sequence[Task], count: int, seed: int, embed: Embed
) -> Iterator[ReplyEpisode]:
    """`count` episodes without support, of four dialogues each, services drawn by their weights.

    Raises ConfigError if hardly a service says anything twice.
    """
    rng = random.Random(seed)
    made = 0
    for task in islice(stream(tasks, rng), 100 * count):
        if made == count:
            return
        schema, dialogues = draw(task, rng, _DIALOGUES, paraphrase=0.5)
        replies = [support_replies(schema, [dialogue]) for dialogue in dialogues]
        others = wordings([r for each in replies for r in each], embed)
        packed = []
        for each in replies[:_PACKED]:
            exchanges = [_exchange(reply, others.get(reply.source, ()), rng) for reply in each]
            if any(exchange.said for exchange in exchanges):
                packed.append(pack(tokens, REPHRASING, exchanges))
        if packed:
            made += 1
            yield ReplyEpisode(task.schema.name, (), tuple(packed))  # a wording may have another
    if made < count:
        raise ConfigError("hardly a reply of the corpus is worded twice; give another one")


def wordings(replies: Sequence[SupportReply], embed: Embed) -> Dict[str, List[str]]:
    """The other wordings of each reply among `replies`, by the reply's source. Replies without
    another wording are left out.
    """
    groups: Dict[Tuple[Any, ...], List[SupportReply]] = {}
    for reply in replies:
        if reply.known:
            called = reply.situation.action
            key = (*placeholder_names(reply.template.text), reply.asks, called)
            groups.setdefault(key, []).append(reply)
    found: Dict[str, List[str]] = {}
    for group in (group for group in groups.values() if len(group) > 1):
        texts = list(dict.fromkeys(reply.template.text for reply in group))
        vectors = dict(zip(texts, rows_of(embed, [in_words(text) for text in texts])))
        for reply in group:
            own = reply.template.text
            others = [
                text
                for text in texts
                if _ALIKE <= float(vectors[own] @ vectors[text]) <= _NO_MORE and keeps(text, own)
            ]
            if others:
                found[reply.source] = others
    return found


def _exchange(reply: SupportReply, others: Sequence[str], rng: random.Random) -> Exchange:
    """A reply with another wording of it to say anew; one that has none is only history."""
    text, user = reply.template.text, reply.situation.user
    return saying(user, rng.choice(list(others)), text) if others else said(user, text)
