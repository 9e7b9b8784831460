"""Stage two: meta-training, read top to bottom as the papers' algorithm box.

    repeat
        for each of a batch of episodes
            draw a service, its support and query dialogues
            θ_K, from θ and the rates α, by K inner steps on the support    (inner_loop.py)
            add the gradient of the query loss at θ_K w.r.t. θ, α and the encoder
        step θ, α and the encoder by Adam

Episodes without support leave θ_K = θ, so zero-shot stays in the objective. The encoder takes no
inner steps; its gradient at θ_K is exact in either order.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from rasa_onramp.metalearning.algorithms import algorithm
from rasa_onramp.metalearning.corpus import Task
from rasa_onramp.metalearning.episodes import Episode, EpisodeConfig, draw_episode, inner_groups
from rasa_onramp.metalearning.examples import Augmentation, Group
from rasa_onramp.metalearning.inner_loop import InnerLoop, differentiable_adapt, initial_rates
from rasa_onramp.metalearning.lora import Adapter, initial_lora
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.tracker.model import StateTracker

__all__ = ["MetaConfig", "meta_train"]

SUPPORT = Augmentation(shuffle=True, forget=0.2, noise=0.2, new_values=0.15)
QUERY = Augmentation(
    shuffle=True,
    forget=0.3,
    offers=0.5,
    undescribed=0.1,
    elsewhere=0.15,
    noise=0.3,
    new_values=0.15,
)


@dataclass(frozen=True)
class MetaConfig:
    """Settings of stage two.

    `dialogues_a_step` support dialogues make one inner batch; `emphasis` multiplies the sampling
    weight of services (for instance those that stage one left out). With `minutes`, training ends
    when either they or the steps are used up.
    """

    algorithm: str = "meta-sgd"
    steps: int = 300
    minutes: Optional[float] = None
    inner_steps: int = 8
    inner_optimiser: str = "adam"
    dialogues_a_step: int = 2
    rank: int = 8
    lora_rate: float = 5e-3
    heads_rate: float = 2e-3
    episodes_a_step: int = 2
    shots: Mapping[int, float] = field(
        default_factory=lambda: {0: 0.3, 1: 0.1, 2: 0.1, 3: 0.1, 5: 0.4}
    )
    queries: int = 3
    opaque: float = 0.25
    encoder_outer_rate: float = 3e-5
    weights_outer_rate: float = 4e-4
    rates_outer_rate: float = 2e-2
    clip: float = 1.0
    seed: int = 0
    save_every: int = 25
    emphasis: Mapping[str, float] = field(default_factory=dict)


def meta_train(
    tracker: StateTracker,
    tasks: Sequence[Task],
    config: MetaConfig,
    run: Run,
    *,
    progress: bool = True,
) -> None:
    """Meta-train `tracker`'s initialisation and inner rates in place, resuming from `run`."""
    method = algorithm(config.algorithm)
    device = tracker.device
    if not any(".lora_" in name for name in tracker.weights):
        seeded = torch.Generator().manual_seed(config.seed)
        lora = initial_lora(tracker.encoder.config, config.rank, generator=seeded)
        tracker.weights.update({k: v.to(device) for k, v in lora.items()})
    inner = {k: v for k, v in tracker.weights.items() if method.adapts(k)}
    outer = {k: v.requires_grad_(True) for k, v in tracker.weights.items() if k not in inner}
    adapter = Adapter(inner).to(device)
    start = initial_rates(inner, config.inner_steps, lora=config.lora_rate, heads=config.heads_rate)
    if method.learn_rates:  # a tracker that has learned rates goes on from them
        known = {k: v for k, v in tracker.rates.items() if k in start}
        start.update({k: v for k, v in known.items() if v.shape == start[k].shape})
    # rates are learned as logarithms, so they stay positive
    log_rates = {k: v.log().to(device).requires_grad_(method.learn_rates) for k, v in start.items()}
    tracker.encoder.requires_grad_(True)
    tracker.encoder.embeddings["word_embeddings"].requires_grad_(False)
    body = {f"encoder/{n}": p for n, p in tracker.encoder.named_parameters() if p.requires_grad}
    theta: Dict[str, Tensor] = {}
    theta.update({f"weights/{n}": p for n, p in zip(adapter.names, adapter.parameters())})
    theta.update({f"weights/{n}": p for n, p in outer.items()})
    alpha = {f"rates/{n}": p for n, p in log_rates.items()} if method.learn_rates else {}
    groups: List[Dict[str, Any]] = [
        {"params": list(body.values()), "lr": config.encoder_outer_rate},
        {"params": list(theta.values()), "lr": config.weights_outer_rate},
    ]
    if alpha:
        groups.append({"params": list(alpha.values()), "lr": config.rates_outer_rate})
    for group in groups:
        group["peak"] = group["lr"]
    optimiser = torch.optim.Adam(groups, fused=True)
    everything: Dict[str, Tensor] = {**body, **theta, **alpha}
    step = run.resume(everything, optimiser)
    rng = random.Random(config.seed * 1_000_003 + step)
    how = InnerLoop(config.inner_steps, method.order, config.inner_optimiser)
    shape = EpisodeConfig(config.shots, config.queries, config.opaque)
    chances = [t.weight * config.emphasis.get(t.schema.name, 1.0) for t in tasks]
    bar = tqdm(total=config.steps, initial=step, disable=not progress, desc="meta", unit="step")
    began, done = time.monotonic(), step / config.steps
    while done < 1:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))
        optimiser.zero_grad(set_to_none=True)
        losses: List[float] = []
        for _ in range(config.episodes_a_step):
            episode = draw_episode(tracker.tokens, tasks, chances, shape, rng, query=QUERY)
            if episode.query is None:
                continue
            rates = {name: rate.exp() for name, rate in log_rates.items()}
            loss = _outer_loss(tracker, adapter, outer, rates, episode, how, config, rng)
            (loss / config.episodes_a_step).backward()
            losses.append(loss.item())
        for part in (list(body.values()) + list(theta.values()), list(alpha.values())):
            torch.nn.utils.clip_grad_norm_(part, config.clip)
        optimiser.step()
        step += 1
        elapsed = (time.monotonic() - began) / 60
        done = max(step / config.steps, elapsed / config.minutes if config.minutes else 0)
        mean = sum(losses) / max(1, len(losses))
        bar.update()
        bar.set_postfix(query_loss=f"{mean:.3f}")
        run.log(step, {"query loss": mean, "minutes": elapsed})
        if step % config.save_every == 0 or done >= 1:
            run.save(step, everything, optimiser, asdict(config))
    bar.close()
    tracker.weights.update({k: v.detach() for k, v in adapter().items()})
    tracker.weights.update({k: v.detach() for k, v in outer.items()})
    tracker.rates = {name: rate.detach().exp() for name, rate in log_rates.items()}
    tracker.encoder.requires_grad_(False)


def _outer_loss(
    tracker: StateTracker,
    adapter: Adapter,
    outer: Mapping[str, Tensor],
    rates: Mapping[str, Tensor],
    episode: Episode,
    how: InnerLoop,
    config: MetaConfig,
    rng: random.Random,
) -> Tensor:
    """The query loss at the weights that the support set leads to."""

    def loss_of(weights: Mapping[str, Tensor], group: Group) -> Tensor:
        everything = {**outer, **weights}
        return group_loss(tracker, group, everything, math_attention=how.order == 2)

    steps = inner_groups(
        tracker.tokens,
        episode.schema,
        episode.support,
        rng,
        replace(SUPPORT, offers=float(episode.offers)),
        steps=how.steps,
        size=config.dialogues_a_step,
    )
    fast: Mapping[str, Tensor] = adapter()
    if steps:
        fast = differentiable_adapt(adapter, lambda w, k: loss_of(w, steps[k]), rates, how)
    assert episode.query is not None
    return loss_of(fast, episode.query)
