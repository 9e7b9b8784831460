"""The outer loop that every meta-training shares: the algorithm box of the papers.

    repeat
        for each of a batch of episodes
            θ_1 … θ_K, from θ and the rates α, by K inner steps on the support    (inner_loop.py)
            add the meta-gradient: of the query loss at θ_K w.r.t. θ and α, or as the
                algorithm has it                                                (meta_gradient.py)
        step θ and α by Adam

What an episode is and how its losses are taken is the caller's.
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from rasa_onramp.metalearning.algorithms import Algorithm
from rasa_onramp.metalearning.inner_loop import InnerLoop
from rasa_onramp.metalearning.lora import Adapter
from rasa_onramp.metalearning.meta_gradient import Practice, meta_loss
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.schedule import cosine, share_done

__all__ = ["OuterConfig", "learned_rates", "outer_loop"]


class OuterConfig(Protocol):
    """What the outer loop needs to know of a configuration."""

    @property
    def steps(self) -> int: ...
    @property
    def minutes(self) -> Optional[float]: ...
    @property
    def inner_steps(self) -> int: ...
    @property
    def inner_optimiser(self) -> str: ...
    @property
    def episodes_a_step(self) -> int: ...
    @property
    def rates_outer_rate(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def save_every(self) -> int: ...


def learned_rates(
    start: Mapping[str, Tensor], known: Mapping[str, Tensor], device: torch.device, learn: bool
) -> Dict[str, Tensor]:
    """The logarithms of the inner rates, so that they stay positive; to be learned if `learn`.

    They go on from those `known` that have the shape of `start`'s.
    """
    rates = dict(start)
    if learn:
        rates.update({k: v for k, v in known.items() if k in start and v.shape == start[k].shape})
    return {k: v.log().to(device).requires_grad_(learn) for k, v in rates.items()}


def outer_loop(
    method: Algorithm,
    adapter: Adapter,
    groups: Sequence[Dict[str, Any]],
    log_rates: Mapping[str, Tensor],
    draw: Callable[[random.Random, int], Optional[Practice]],
    config: OuterConfig,
    settings: Mapping[str, Any],
    run: Run,
    *,
    title: str,
    progress: bool = True,
) -> None:
    """Step everything in place, resuming from `run`.

    Args:
        method: the algorithm.
        adapter: what takes the inner steps.
        groups: of Adam: "parameters" (tensors by name, the adapter's among them) and their peak
            "rate".
        log_rates: the inner rates; learned where they require gradients.
        draw: draws an episode, given the order in force; None if there is nothing to learn from.
        config: how long, how to adapt, and the rates' own outer rate.
        settings: what is written down beside the run's state.
    """
    learned = {f"rates/{n}": p for n, p in log_rates.items() if p.requires_grad}
    everything: Dict[str, Tensor] = {k: v for g in groups for k, v in g["parameters"].items()}
    adapting = {id(parameter) for parameter in adapter.parameters()}
    body = [parameter for parameter in everything.values() if id(parameter) not in adapting]
    parts = [list(everything.values()), list(learned.values())]
    everything.update(learned)
    adam = [{"params": list(g["parameters"].values()), "lr": g["rate"]} for g in groups]
    if learned:
        adam.append({"params": parts[1], "lr": config.rates_outer_rate})
    peaks = [group["lr"] for group in adam]
    optimiser = torch.optim.Adam(adam, fused=True)
    step = run.resume(everything, optimiser)
    rng = random.Random(config.seed * 1_000_003 + step)
    bar = tqdm(total=config.steps, initial=step, disable=not progress, desc=title, unit="step")
    told = "inner loss" if method.pooled else "query loss"
    began, done = time.monotonic(), step / config.steps
    while done < 1:
        for group, peak in zip(optimiser.param_groups, peaks):
            group["lr"] = peak * cosine(done, 0.1)
        optimiser.zero_grad(set_to_none=True)
        how = InnerLoop(config.inner_steps, method.order_at(done), config.inner_optimiser)
        losses: List[float] = []
        for _ in range(config.episodes_a_step):
            practice = draw(rng, how.order)
            if practice is not None:
                rates = {name: rate.exp() for name, rate in log_rates.items()}
                loss = meta_loss(method, practice, adapter, body, rates, how, done)
                (loss / config.episodes_a_step).backward()
                losses.append(loss.item())
        for part in parts:
            torch.nn.utils.clip_grad_norm_(part, config.clip)
        optimiser.step()
        step += 1
        elapsed = time.monotonic() - began
        done = share_done(step, config.steps, elapsed, config.minutes)
        mean = sum(losses) / max(1, len(losses))
        bar.update()
        bar.set_postfix({told: f"{mean:.3f}"})
        run.log(step, {told: mean, "minutes": elapsed / 60})
        if step % config.save_every == 0 or done >= 1:
            run.save(step, everything, optimiser, settings)
    bar.close()
