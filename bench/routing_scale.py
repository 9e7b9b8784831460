"""Routing without comparing a message with every domain: what it misses, and when it is faster.

    python bench/routing_scale.py --json bench/results/routing_scale.json

`missed`: on our own domains, five support dialogues each, the first messages of three others: how
often the domain that is likeliest of all isn't on the shortlist, and how often the route differs.
`speed`: of the shortlist itself with more domains than anybody wrote: each is a mixture of two of
ours with noise. One product of matrices beside groups (runtime/shortlist.py), taken in turns;
`found` is how often the groups have the domain that the product ranks first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from cost_measures import seconds_of
from many_stores import Domain, base_domains
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.embedding import Embed
from rasa_onramp.runtime.background import Background, load_background
from rasa_onramp.runtime.domain_index import COMPARED, Crowd, DomainIndex
from rasa_onramp.runtime.router import Router
from rasa_onramp.runtime.shortlist import GROUPED_FROM, Shortlist
from rasa_onramp.tracker.sentences import cached_sentences

__all__ = ["main", "missed", "mixtures", "speed"]

SUPPORT, ASKED = 5, 3
COUNTS = (1000, 4000, 8000, 16000, 32000, 100000)

Figures = Dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--of", type=int, default=None, help="take so many of our domains only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    background = load_background()
    embed = cached_sentences()
    domains = base_domains(options.of)
    indexes = {
        schema.name: DomainIndex.build(schema, dialogues[:SUPPORT], embed, background)
        for schema, dialogues in tqdm(domains, desc="embed", unit="domain")
    }
    asked = first_messages(domains)
    vectors = torch.stack([index.stand_ins() for index in indexes.values()])
    rows = background.centred(embed(asked))
    found = {
        "missed": missed(indexes, asked, embed, background),
        "speed": speed(vectors, rows, [int(count) for count in options.counts.split(",")]),
        "settings": {"compared": COMPARED, "grouped_from": GROUPED_FROM},
        "machine": {"threads": options.threads, "torch": torch.__version__},
    }
    print(json.dumps(found, indent=1))
    if options.json is not None:
        write_figures(str(options.json), found)


def first_messages(domains: Sequence[Domain]) -> List[str]:
    """Of dialogues that aren't support."""
    return [
        dialogue.turns[0].text
        for _, dialogues in domains
        for dialogue in dialogues[SUPPORT : SUPPORT + ASKED]
    ]


def missed(
    indexes: Dict[str, DomainIndex], asked: Sequence[str], embed: Embed, background: Background
) -> Figures:
    """What a shortlist misses, beside comparing with all."""
    every, few = Crowd(indexes, compared=len(indexes)), Crowd(indexes, compared=0)
    router = Router(embed, background)
    lost = {"message": 0, "opening": 0}
    another, taken = 0, []
    for text in tqdm(asked, desc="route", unit="message"):
        heard = background.heard(text, embed([text])[0])
        wanted, found = every.likenesses(heard), few.likenesses(heard)
        for kind in lost:
            lost[kind] += max(wanted, key=lambda n, k=kind: getattr(wanted[n], k)) not in found
        another += router.route(text, every).domain != router.route(text, few).domain
        whole = seconds_of(lambda h=heard: every.likenesses(h))
        taken.append((whole, seconds_of(lambda h=heard: few.likenesses(h)), len(found)))
    return {
        "domains": len(indexes),
        "messages": len(asked),
        "lost_as_message": lost["message"],
        "lost_as_opening": lost["opening"],
        "other_route": another,
        "compared": round(statistics.fmean(each[2] for each in taken), 1),
        "all_ms": round(1000 * statistics.median(each[0] for each in taken), 2),
        "shortlist_ms": round(1000 * statistics.median(each[1] for each in taken), 2),
    }


def mixtures(vectors: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """`count` domains between two of `vectors` (domains, 2, dimensions) each."""
    first, second = torch.randint(len(vectors), (2, count), generator=draw)
    share = torch.rand(count, 1, 1, generator=draw)
    mixed = share * vectors[first] + (1 - share) * vectors[second]
    size = mixed[..., :-1].norm(dim=-1, keepdim=True) / mixed.shape[-1] ** 0.5
    noise = 0.3 * size * torch.randn(mixed[..., :-1].shape, generator=draw)
    return mixed + F.pad(noise, (0, 1))  # the last dimension is no direction but an offset


def speed(vectors: Tensor, rows: Tensor, counts: Sequence[int]) -> List[Figures]:
    """Milliseconds a message of both ways, and what groups cost."""
    draw = torch.Generator().manual_seed(0)
    some = rows[torch.randperm(len(rows), generator=draw)[:200]]
    asked = torch.cat([some, some.new_ones(len(some), 1)], 1)
    found = []
    for count in tqdm(counts, desc="shortlist", unit="size"):
        many = mixtures(vectors, count, draw)
        flat = Shortlist(many, grouped_from=count + 1)
        began = time.perf_counter()
        groups = Shortlist(many, grouped_from=0)
        building = time.perf_counter() - began
        again = seconds_of(lambda m=many, g=groups: Shortlist(m, g, grouped_from=0))
        product, looked, right = [], [], 0
        for row in asked:
            best: List[List[int]] = []
            product.append(seconds_of(lambda r=row, f=flat: f.of(r)))
            looked.append(seconds_of(lambda r=row, g=groups, b=best: b.append(g.of(r))))
            tops = [int((many[:, kind] @ row).argmax()) for kind in (0, 1)]
            right += sum(top in best[0] for top in tops)
        found.append(
            {
                "domains": count,
                "product_ms": round(1000 * statistics.median(product), 3),
                "groups_ms": round(1000 * statistics.median(looked), 3),
                "found": round(right / (2 * len(asked)), 4),
                "build_s": round(building, 2),
                "rebuild_s": round(again, 2),
                "mb": round(many.nbytes / 2**20, 1),
            }
        )
    return found


if __name__ == "__main__":
    main()
