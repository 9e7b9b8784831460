"""Whether it matters when a domain is onboarded: nothing of it may change when another is added.

A domain's adapter and the states tracked with it are compared exactly. Routing does depend on which
other domains there are, so its accuracy is reported as their number grows, and whether the order in
which they came makes a difference when all are there.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Corpus, Dialogue, State
from rasa_onramp.embedding import Embed
from rasa_onramp.metalearning.lora import adapter_from_bytes
from rasa_onramp.onboarding import adapt
from rasa_onramp.runtime.background import Background
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.router import Router
from rasa_onramp.store import Store, open_store
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker
from robustness_parts.conditions import Study

__all__ = ["orders", "routing", "tracking"]

Progress = Callable[[], None]


def orders(studies: Sequence[Study], count: int) -> List[List[Study]]:
    """The order given, its reverse, then random ones; `count` in all."""
    found = [list(studies), list(studies)[::-1]]
    rng = random.Random(0)
    while len(found) < count:
        found.append(rng.sample(list(studies), len(studies)))
    return found[:count]


@dataclass(frozen=True)
class _Look:
    """A domain as it is at one moment."""

    digest: str
    states: Tuple[Tuple[Optional[State], ...], ...]


def tracking(
    tracker: StateTracker,
    studies: Sequence[Study],
    *,
    steps: Optional[int],
    count: int = 2,
    progress: Progress = lambda: None,
) -> Dict[str, Any]:
    """Onboard the studies' domains into a new store, in `count` orders, and compare.

    A domain is looked at when it was just onboarded and when all are. Of the `looks` after a
    domain's first, in whatever order, `adapters_changed` found another adapter; of the
    `states_compared`, `states_changed` differed. 0 is what should be. `progress` is called after
    each domain.
    """
    first: Dict[str, _Look] = {}
    looks = adapters = compared = states = 0
    for order in orders(studies, count):
        found = _onboarded(tracker, order, steps, progress)
        for name, now in found:
            before = first.setdefault(name, now)
            if now is before:
                continue
            looks += 1
            adapters += now.digest != before.digest
            for one, other in zip(before.states, now.states):
                compared += len(one)
                states += sum(a != b for a, b in zip(one, other))
    return {
        "domains": len(studies),
        "orders": count,
        "steps": steps,
        "looks": looks,
        "adapters_changed": adapters,
        "states_compared": compared,
        "states_changed": states,
    }


def _onboarded(
    tracker: StateTracker, order: Sequence[Study], steps: Optional[int], progress: Progress
) -> List[Tuple[str, _Look]]:
    """Each domain just after it was onboarded, then each when all are."""
    with TemporaryDirectory(prefix="robustness-") as folder, open_store(
        f"sqlite:///{Path(folder) / 'store.db'}"
    ) as store:
        store.upgrade()
        found = []
        for study in order:
            store.dialogues.import_corpus(_corpus(study))
            adapt(store, tracker, study.schema.name, steps=steps, switch_anyway=True)
            found.append((study.schema.name, _look(store, tracker, study.schema.name)))
            progress()
        names = [study.schema.name for study in order]
        return [*found, *((name, _look(store, tracker, name)) for name in names)]


def _corpus(study: Study) -> Corpus:
    def as_split(dialogues: Sequence[Dialogue], split: str) -> Tuple[Dialogue, ...]:
        return tuple(replace(dialogue, split=split) for dialogue in dialogues)

    dialogues = as_split(study.support, "support") + as_split(study.held_out, "held-out")
    return Corpus({study.schema.name: study.schema}, dialogues)


def _look(store: Store, tracker: StateTracker, domain: str) -> _Look:
    version = store.adapters.active(domain)
    assert version is not None, "just adapted"
    found = track_dialogues(
        tracker,
        store.dialogues.schema(domain),
        store.dialogues.dialogues(domain, "held-out"),
        adapter_from_bytes(version.weights),
        offers=True,
    )
    states = tuple(tuple(p.state if p else None for p in each) for each in found)
    return _Look(version.digest, states)


def routing(
    studies: Sequence[Study],
    embed: Embed,
    background: Background,
    *,
    count: int = 3,
    progress: Progress = lambda: None,
) -> Dict[str, Any]:
    """Route the held-out users' messages as the studies' domains are added, in `count` orders.

    `sizes` has, for each number of domains, the share of messages routed to their own domain, of
    those domains that are there: of first messages, when no domain is active, and of later ones,
    when their own is. The mean over orders. `worst_fall` is the most that one domain's share fell
    when one other was added; `order_changes` counts messages that go elsewhere in another order
    when all domains are there. `progress` is called after each domain.
    """
    router = Router(embed, background)
    indexes = {
        s.schema.name: DomainIndex.build(s.schema, s.support, embed, background) for s in studies
    }
    messages = {s.schema.name: _messages(s.held_out) for s in studies}
    studies = [s for s in studies if messages[s.schema.name]]
    shares: Dict[int, Dict[bool, List[float]]] = {}
    routes: Dict[Tuple[str, int], Optional[str]] = {}
    changes, worst = set(), 0.0
    for order in orders(studies, count):
        there: Dict[str, DomainIndex] = {}
        before: Dict[str, float] = {}
        for study in order:
            there[study.schema.name] = indexes[study.schema.name]
            crowd = Crowd(there)
            right: Dict[bool, List[bool]] = {True: [], False: []}
            for name in there:
                own = []
                for place, (text, opening) in enumerate(messages[name]):
                    found = router.route(text, crowd, active=None if opening else name).domain
                    own.append(found == name)
                    right[opening].append(found == name)
                    final = len(there) == len(studies)
                    if final and routes.setdefault((name, place), found) != found:
                        changes.add((name, place))
                share = statistics.fmean(own)
                worst = max(worst, before.get(name, share) - share)
                before[name] = share
            for opening, found_right in right.items():
                if found_right:
                    size = shares.setdefault(len(there), {True: [], False: []})
                    size[opening].append(statistics.fmean(found_right))
            progress()
    return {
        "domains": len(studies),
        "orders": count,
        "messages": sum(map(len, messages.values())),
        "sizes": [
            {
                "domains": size,
                "openings": _mean(found[True]),
                "follow_ups": _mean(found[False]),
            }
            for size, found in shares.items()
        ],
        "worst_fall": worst,
        "order_changes": len(changes),
    }


def _mean(shares: Sequence[float]) -> Optional[float]:
    return statistics.fmean(shares) if shares else None


def _messages(dialogues: Sequence[Dialogue]) -> List[Tuple[str, bool]]:
    """What the users say to the domain, and whether it opens the dialogue."""
    return [
        (turn.text, number == 0)
        for dialogue in dialogues
        for number, turn in enumerate(dialogue.turns)
        if turn.is_user and turn.state is not None
    ]
