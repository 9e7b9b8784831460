"""What the router's likenesses are made of, learned across domains; and what its constants bring.

    python bench/router_weights.py [--spare 60] [--sgd ../shared/data/sgd/train]

On the domains of training_data/dialogues that metrics aren't measured on (`meta-train --spare`):
crowds of them are drawn, five support dialogues each. The weights of `runtime/domain_index.py` are
fitted by softmax regression: a message goes to its domain or, if it is none's, to none; for the
opening likeness only first messages are anybody's. Then the router itself routes other draws, of
four domains, with several midpoints: first messages, later ones, first messages while another
domain is active, and those of other domains.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from rasa_onramp.embedding import Embed
from rasa_onramp.evaluation.tables import table
from rasa_onramp.metalearning.corpus import Task
from rasa_onramp.runtime import router
from rasa_onramp.runtime.background import Background, load_background
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.words import WordStack
from rasa_onramp.tracker.sentences import cached_sentences
from router_background import own_domains

SHOTS, ASKED = 5, 6

#: Crowds that are fitted to, and how many draws of each; draws that are routed.
CROWDS, DRAWS, ROUTED = (2, 4, 10, 20, 50), 3, 24

#: Domains beside a crowd whose messages are none's.
STRANGERS = 20

PARTS = ("nearest messages", "openings' mean", "topic", "nearest slot")


@dataclass(frozen=True)
class Draw:
    """Domains with what is asked of them: (its domain or None, whether it is a first message, the
    text).
    """

    indexes: Tuple[DomainIndex, ...]
    names: Tuple[str, ...]
    asked: Tuple[Tuple[Optional[str], bool, str], ...]

    @classmethod
    def of(
        cls,
        tasks: Sequence[Task],
        count: int,
        rng: random.Random,
        embed: Embed,
        background: Background,
    ) -> Draw:
        """`count` of the tasks, five support dialogues each."""
        drawn = rng.sample(list(tasks), min(count + STRANGERS, len(tasks)))
        indexes, names = [], []
        asked: List[Tuple[Optional[str], bool, str]] = []
        for number, task in enumerate(drawn):
            dialogues = rng.sample(task.alone, min(SHOTS + ASKED, len(task.alone)))
            name = task.schema.name if number < count else None
            if name is not None:
                names.append(name)
                indexes.append(DomainIndex.build(task.schema, dialogues[:SHOTS], embed, background))
            for dialogue in dialogues[SHOTS:]:
                said = [t.text for t in dialogue.turns if t.is_user and t.state is not None]
                asked += [(name, not n, text) for n, text in enumerate(said)]
        return cls(tuple(indexes), tuple(names), tuple(asked))


@dataclass(frozen=True)
class Features:
    """Of a draw's messages: parts of their likeness (messages, domains, 4), the same of the
    background's centres (domains, centres, 4), the deviations of their words as any message's and
    as an opening's (2, messages, domains); which domain each is of, -1 for none, and whether it is
    a first one.
    """

    parts: Tensor
    usual: Tensor
    words: Tensor
    wanted: Tensor
    first: Tensor

    @classmethod
    def of(cls, draw: Draw, embed: Embed, background: Background) -> Features:
        """Embed and compare."""
        texts = [text for *_, text in draw.asked]
        rows = background.centred(embed(texts))
        stack = WordStack(
            [words for index in draw.indexes for words in index.words],
            [usual for index in draw.indexes for usual in index.usual_words],
        )
        said = [background.vocabulary.words([text]) for text in texts]
        places = {name: number for number, name in enumerate(draw.names)}
        return cls(
            torch.stack([index.parts(rows) for index in draw.indexes], 1),
            torch.stack([index.parts(background.centres) for index in draw.indexes]),
            torch.stack([stack.deviations(w.vector()).view(-1, 2) for w in said]).permute(2, 0, 1),
            torch.tensor([-1 if name is None else places[name] for name, *_ in draw.asked]),
            torch.tensor([first for _, first, _ in draw.asked]),
        )

    def scores(self, weights: Tensor, words: Tensor, *, openings: bool) -> Tensor:
        """Deviations, (messages, domains)."""
        usual = self.usual @ weights
        deviations = (self.parts @ weights - usual.mean(1)) / usual.std(1).clamp(min=1e-3)
        return deviations + words * self.words[int(openings)]


def fitted(found: Sequence[Features], *, openings: bool, steps: int = 250) -> Tuple[Tensor, float]:
    """The parts' weights, (4,), which sum to 1, and the words'."""
    logits = torch.zeros(len(PARTS), requires_grad=True)
    words, scale = torch.tensor(0.5, requires_grad=True), torch.tensor(1.5, requires_grad=True)
    none = torch.tensor(2.5, requires_grad=True)
    optimiser = torch.optim.Adam([logits, words, scale, none], lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        for one in found:
            scores = one.scores(logits.softmax(0), words, openings=openings)
            known = one.wanted >= 0
            if openings:
                known = known & one.first
            target = torch.where(known, one.wanted, scores.shape[1])
            choices = scale * torch.cat([scores, none.expand(len(scores), 1)], 1)
            # later messages are asked only in the domain that is active
            counts = torch.ones_like(one.first) if openings else one.first
            loss = F.cross_entropy(choices, target, reduction="none")
            (loss[known & counts].mean() + loss[~known & counts].mean()).backward()
        optimiser.step()
    return logits.detach().softmax(0), float(words.detach())


def routed(draws: Sequence[Draw], embed: Embed, background: Background) -> List[float]:
    """The shares of first messages, later ones, switches and others' messages that go right."""
    right: List[List[bool]] = [[], [], [], []]
    route = router.Router(embed, background).route
    for draw in draws:
        crowd = Crowd(dict(zip(draw.names, draw.indexes)))
        for name, first, text in draw.asked:
            if first:
                found = route(text, crowd).domain
                right[3 if name is None else 0].append(found == name)
            if name is None:
                continue
            for active in [n for n in draw.names if n != name] if first else [name]:
                right[2 if first else 1].append(route(text, crowd, active=active).domain == name)
    return [sum(each) / len(each) for each in right]


def main() -> None:
    """Fit, route, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spare", type=int, default=60, help="as of meta-train")
    parser.add_argument("--sgd", default="../shared/data/sgd/train", help="as of meta-train")
    parser.add_argument("--midpoints", type=float, nargs="+", default=[1.8, 2.0, 2.2, 2.4])
    options = parser.parse_args()
    tasks = [t for t in own_domains(options.sgd, options.spare) if len(t.alone) > SHOTS]
    background, embed = load_background(), cached_sentences()

    def drawn(count: int, seed: str) -> Draw:
        return Draw.of(tasks, count, random.Random(seed), embed, background)

    crowds = [(count, number) for count in CROWDS for number in range(DRAWS)]
    found = [
        Features.of(drawn(count, f"fit {count} {number}"), embed, background)
        for count, number in tqdm(crowds, desc="draws", disable=None)
    ]
    rows = []
    for likeness in ("message", "opening"):
        weights, words = fitted(found, openings=likeness == "opening")
        rows.append((likeness, *(f"{w:.2f}" for w in weights.tolist()), f"{words:.2f}"))
    print(table(("likeness as", *PARTS, "words"), rows))
    draws = [drawn(4, f"route {number}") for number in range(ROUTED)]
    rows = []
    for midpoint in tqdm(options.midpoints, desc="midpoints", disable=None):
        router._MIDPOINT = midpoint
        rows.append((f"{midpoint:g}", *(f"{v:.3f}" for v in routed(draws, embed, background))))
    print(table(("midpoint", "openings", "follow-ups", "switches", "of other domains"), rows))


if __name__ == "__main__":
    main()
