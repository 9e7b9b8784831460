"""Steps on batches: AdamW on their losses at a warm cosine rate, resumable, with a progress bar.

Unlike episodes' (episodic.py), what a step takes is drawn from a stream of each worker's own, and
from a new one where a run is resumed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Iterator, Mapping, Protocol

import torch
from torch import Tensor

from rasa_onramp.metalearning.course import Course, CourseConfig
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.schedule import warm_cosine
from rasa_onramp.metalearning.stepping import Stepper

__all__ = ["Batch", "PretrainingConfig", "pretraining_steps"]


class PretrainingConfig(CourseConfig, Protocol):
    """What the steps need to know of a configuration."""

    @property
    def warmup(self) -> int: ...
    @property
    def clip(self) -> float: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Batch:
    """What a worker's part of a step is taken on: how much it is, to tell how fast training is, and
    its losses, computed as they are asked for. Their gradients add up.
    """

    size: int
    losses: Iterable[Tensor]


def pretraining_steps(
    parameters: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    feed: Callable[[random.Random], Iterator[Batch]],
    config: PretrainingConfig,
    settings: Mapping[str, Any],
    run: Run,
    *,
    title: str,
    counted: str,
    log_every: int = 1,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Step `parameters` in place, resuming from `run`. Raises ConfigError if the loss stays no
    number.

    Several `workers` take a batch each and step together, on the mean of their gradients.

    Args:
        parameters: all that are learned, by name; their gradients are clipped together.
        optimiser: has them, with their peak rates.
        feed: batches without end.
        config: how long.
        settings: what is written down beside the run's state.
        counted: what a batch's size counts.
        log_every: steps from one line of the log to the next.
    """
    peaks = [group["lr"] for group in optimiser.param_groups]
    stepper = Stepper(optimiser, [list(parameters.values())], config.clip)
    course = Course(
        parameters,
        optimiser,
        config,
        settings,
        run,
        title=title,
        progress=progress,
        workers=workers,
    )
    # a resumed run draws other batches, and each worker its own
    batches = feed(random.Random(f"{config.seed} {course.step} {workers.rank}"))
    total, before = 0, course.elapsed
    while course.done < 1:
        batch = next(batches)
        scale = warm_cosine(course.step, course.done, config.warmup)
        for group, peak in zip(optimiser.param_groups, peaks):
            group["lr"] = peak * scale
        optimiser.zero_grad(set_to_none=True)
        mean = 0.0
        for loss in batch.losses:
            loss.backward()
            mean += loss.item()
        workers.average_gradients(parameters.values())
        norm = stepper.take(course.step + 1)
        total += batch.size * workers.count
        course.advance()
        if course.step % log_every == 0:
            speed = total / (course.elapsed - before)
            course.tell(
                {"loss": mean, "gradient norm": norm, f"{counted}/s": speed},
                {"loss": f"{mean:.3f}", f"{counted}_s": f"{speed:.0f}"},
            )
        course.keep()
    course.close()
