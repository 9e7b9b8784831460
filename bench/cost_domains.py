"""What many domains cost: routing a message among them, and keeping their adapters in memory."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from typing import Any, Callable, Iterator, List, Sequence, Tuple

from cost_measures import Figures, seconds_of
from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.embedding import WHOLE_CORPUS, CachedEmbed, Embed
from rasa_onramp.memory import MEGABYTE, bytes_of
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.runtime.adapter_cache import AdapterCache
from rasa_onramp.runtime.background import load_background
from rasa_onramp.runtime.conversation import EngineSettings
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.router import Router
from rasa_onramp.store import open_store
from rasa_onramp.tracker.model import StateTracker

__all__ = ["DOMAINS", "Domain", "many_domains"]

DOMAINS = (1, 10, 100, 1000)
#: Domains that are visited to fill the cache of adapters.
VISITED = 64
SUPPORT = 5

Domain = Tuple[Schema, Tuple[Dialogue, ...]]


def copies(domains: Sequence[Domain], count: int) -> Iterator[Domain]:
    """`count` domains of different names, going round those there are."""
    for number in range(count):
        schema, dialogues = domains[number % len(domains)]
        yield replace(schema, name=f"{schema.name}_{number:04}"), dialogues


def many_domains(
    tracker: StateTracker, embed: Embed, domains: Sequence[Domain], told: Callable[[], Any]
) -> List[Figures]:
    """Routing among so many domains, and the adapters that are kept of them."""
    cached, background = CachedEmbed(embed, WHOLE_CORPUS), load_background()
    router = Router(cached, background)
    others = [d for _, dialogues in domains for d in dialogues[SUPPORT : SUPPORT + 3]]
    asked = [dialogue.turns[0].text for dialogue in others]
    embedding = [seconds_of(lambda t=text: embed([t])) for text in asked]
    cached(asked)
    weights = adapter_to_bytes(tracker.weights)
    found = []
    for count in DOMAINS:
        some = list(copies(domains, count))
        indexes = {
            schema.name: DomainIndex.build(schema, dialogues[:SUPPORT], cached, background)
            for schema, dialogues in some
        }
        crowd = Crowd(indexes)
        routing = [seconds_of(lambda t=text, c=crowd: router.route(t, c)) for text in asked]
        found.append(
            {
                "domains": count,
                "embed_ms": round(1000 * statistics.median(embedding), 2),
                "route_p50_ms": round(1000 * statistics.median(routing), 2),
                "index_mb": round(bytes_of([vars(i) for i in indexes.values()]) / MEGABYTE, 2),
                **cache_figures(tracker, some, weights),
            }
        )
        told()
    return found


def cache_figures(tracker: StateTracker, domains: Sequence[Domain], weights: bytes) -> Figures:
    """Domains visited one after the other, each with an adapter in a store."""
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/db") as store:
        store.upgrade()
        store.dialogues.import_corpus(Corpus({s.name: s for s, _ in domains}, ()))
        for schema, _ in domains:
            store.adapters.add(
                schema.name,
                weights,
                support_digest="",
                checkpoint_digest=tracker.digest,
                figures={},
            )
        cache = AdapterCache(Reach(store), tracker, EngineSettings().cache_mb * MEGABYTE)
        missed: List[float] = []
        for schema, _ in domains[-VISITED:]:
            missed.append(seconds_of(lambda s=schema: cache.get(s, s.name, 1, s.name)))
        return {
            "cache_limit_mb": EngineSettings().cache_mb,
            "cached_domains": len(cache.kept),
            "cache_mb": round(cache.kept.bytes / MEGABYTE, 1),
            "miss_p50_ms": round(1000 * statistics.median(missed), 1),
        }
