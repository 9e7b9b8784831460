"""Steps on episodes: Adam on the mean of their losses, resumable, with a progress bar."""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.schedule import cosine, share_done

__all__ = ["EpisodicConfig", "episodic_steps"]


class EpisodicConfig(Protocol):
    """What the steps need to know of a configuration."""

    @property
    def steps(self) -> int: ...
    @property
    def minutes(self) -> Optional[float]: ...
    @property
    def episodes_a_step(self) -> int: ...
    @property
    def clip(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def save_every(self) -> int: ...


def episodic_steps(
    groups: Sequence[Sequence[Mapping[str, Any]]],
    loss_of: Callable[[random.Random, float], Optional[Tensor]],
    config: EpisodicConfig,
    settings: Mapping[str, Any],
    run: Run,
    *,
    title: str,
    told: str = "query loss",
    progress: bool = True,
) -> None:
    """Step everything in place, resuming from `run`.

    Args:
        groups: of Adam, those whose gradients are clipped together in one sequence: "parameters"
            (tensors by name) and their peak "rate".
        loss_of: draws an episode and gives its loss, told the share of training that is over; None
            if there is nothing to learn from.
        config: how long.
        settings: what is written down beside the run's state.
        told: what the loss is called in the progress bar and the log.
    """
    flat = [group for together in groups for group in together]
    everything: Dict[str, Tensor] = {k: v for g in flat for k, v in g["parameters"].items()}
    clipped = [[p for g in together for p in g["parameters"].values()] for together in groups]
    peaks = [group["rate"] for group in flat]
    optimiser = torch.optim.Adam(
        [{"params": list(g["parameters"].values()), "lr": g["rate"]} for g in flat], fused=True
    )
    step = run.resume(everything, optimiser)
    rng = random.Random(config.seed * 1_000_003 + step)
    bar = tqdm(total=config.steps, initial=step, disable=not progress, desc=title, unit="step")
    began, done = time.monotonic(), step / config.steps
    while done < 1:
        for group, peak in zip(optimiser.param_groups, peaks):
            group["lr"] = peak * cosine(done, 0.1)
        optimiser.zero_grad(set_to_none=True)
        losses: List[float] = []
        for _ in range(config.episodes_a_step):
            loss = loss_of(rng, done)
            if loss is not None:
                (loss / config.episodes_a_step).backward()
                losses.append(loss.item())
        for parameters in clipped:
            torch.nn.utils.clip_grad_norm_(parameters, config.clip)
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
