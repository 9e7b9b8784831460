"""What encoders of other sizes cost, and what meta-training makes of the machine."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace
from typing import Any, Callable, Dict, List, Tuple

import torch

from cost_domains import Domain
from cost_measures import Counting, Figures, peak_mb, seconds_of
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support
from rasa_onramp.metalearning.episodes import Episode
from rasa_onramp.metalearning.examples import Augmentation, group_of
from rasa_onramp.metalearning.lora import adapter_to_bytes, lora_rank
from rasa_onramp.metalearning.training import MetaConfig, TrackerMetaLearner
from rasa_onramp.tracker.encoder import Encoder, EncoderConfig
from rasa_onramp.tracker.model import StateTracker, initial_heads
from tracker_speed import turn_seconds

__all__ = ["ALGORITHMS", "SIZES", "meta_training", "sizes"]

#: Encoders by what a row calls them: MiniLM's with fewer and more layers, and BERT-base's.
SIZES: Dict[str, EncoderConfig] = {
    "3 layers of 384": EncoderConfig(num_hidden_layers=3),
    "6 layers of 384, as shipped": EncoderConfig(),
    "12 layers of 384": EncoderConfig(num_hidden_layers=12),
    "12 layers of 768": EncoderConfig(
        num_hidden_layers=12, hidden_size=768, intermediate_size=3072
    ),
}

#: Whose meta-gradients are measured: of first order, as ships, and through the inner steps.
ALGORITHMS = ("meta-sgd", "maml")

_SUPPORT, _QUERIES, _TURNS = 5, 3, 8


def sizes(
    tracker: StateTracker, domain: Domain, repeats: int, told: Callable[[], Any]
) -> List[Figures]:
    """A row an encoder of SIZES: adapting to five dialogues as `tracker` recommends, and a turn.

    Weights are random: what they are changes no cost.
    """
    schema, dialogues = domain
    how = Adaptation.of(tracker, offers=True).for_support(_SUPPORT)

    def figures(name: str, config: EncoderConfig) -> Figures:
        sized = of_size(tracker, config)
        taken: List[float] = []

        def work() -> None:
            adapt_to_support(sized, schema, dialogues[:_SUPPORT], how)

        peak = peak_mb(work)
        for _ in range(repeats):
            taken.append(seconds_of(work))
            told()
        turns = turn_seconds(sized, schema, dialogues[_SUPPORT:_TURNS], sized.weights)
        return {
            "encoder": name,
            "parameters": sum(p.numel() for p in sized.encoder.parameters()),
            "inner_steps": how.all_steps,
            "adapt_s": [round(s, 2) for s in taken],
            "peak_mb": peak,
            "turn_p50_ms": round(1000 * statistics.median(turns), 1),
            "adapter_kb": round(len(adapter_to_bytes(sized.weights)) / 1000),
        }

    return [figures(*item) for item in SIZES.items()]


def of_size(tracker: StateTracker, config: EncoderConfig) -> StateTracker:
    """An untrained tracker with such an encoder, that adapts as `tracker` does."""
    seeded = torch.Generator().manual_seed(0)
    encoder = Encoder(config).eval().requires_grad_(False)
    heads = initial_heads(config.hidden_size, seeded)
    sized = StateTracker(encoder, tracker.tokens, heads, card=tracker.card)
    rank = lora_rank(tracker.weights) or MetaConfig.rank
    steps = len(next(iter(tracker.rates.values())))
    TrackerMetaLearner(sized, MetaConfig(rank=rank, inner_steps=steps)).finish()
    return sized


def meta_training(
    tracker: StateTracker, domain: Domain, repeats: int, told: Callable[[], Any]
) -> List[Figures]:
    """A row one of ALGORITHMS: the meta-gradient of one episode, five dialogues and three queries.

    Its arithmetic is that of the inner steps, the query's passes, and where the order is two the
    way back through the inner steps.
    """
    episode = _episode(tracker, domain)
    found = []
    for algorithm in ALGORITHMS:
        learner, order = _learner(tracker, algorithm)

        def step(learner: TrackerMetaLearner = learner, order: int = order) -> None:
            practice = learner.practice(episode, order, random.Random(0))
            assert practice is not None
            learner.loss(practice, done=1.0).backward()

        with Counting() as counter:
            step()
        peak = peak_mb(step)
        taken = []
        for _ in range(repeats):
            taken.append(seconds_of(step))
            told()
        found.append(
            {
                "algorithm": algorithm,
                "order": order,
                "inner_steps": learner.config.inner_steps,
                "seconds": [round(s, 2) for s in taken],
                "peak_mb": peak,
                "gflop": round(counter.operations / 1e9, 1),
                "gflop_s": round(counter.operations / 1e9 / statistics.median(taken), 1),
            }
        )
    return found


def _learner(tracker: StateTracker, algorithm: str) -> Tuple[TrackerMetaLearner, int]:
    """One on a copy, and the order of its gradients at the end of training."""
    encoder = Encoder(tracker.encoder.config)
    encoder.load_state_dict(tracker.encoder.state_dict())
    copied = replace(tracker, encoder=encoder.eval(), weights=dict(tracker.weights))
    learner = TrackerMetaLearner(copied, MetaConfig(algorithm=algorithm))
    return learner, learner.method.order_at(1.0)


def _episode(tracker: StateTracker, domain: Domain) -> Episode:
    schema, dialogues = domain
    support, judged = dialogues[:_SUPPORT], dialogues[_SUPPORT : _SUPPORT + _QUERIES]
    how = Augmentation(shuffle=True, offers=1.0)
    query = group_of(tracker.tokens, schema, judged, random.Random(0), how)
    return Episode(schema, tuple(support), tuple(judged), query, offers=True)
