"""Steps on episodes: Adam on the mean of their losses, resumable, with a progress bar.

Which episodes a step takes is drawn by its number, so a run that is resumed, and several processes
that take a share each (torchrun), go the very way of one that does it all.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, Iterable, Mapping, Protocol, Sequence, Tuple

import torch
from torch import Tensor

from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.course import Course, CourseConfig
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.schedule import cosine
from rasa_onramp.metalearning.stepping import Stepper

__all__ = ["EpisodicConfig", "episodic_steps"]


class EpisodicConfig(CourseConfig, Protocol):
    """What the steps need to know of a configuration."""

    @property
    def episodes_a_step(self) -> int: ...
    @property
    def clip(self) -> float: ...
    @property
    def seed(self) -> int: ...


def episodic_steps(
    groups: Sequence[Sequence[Mapping[str, Any]]],
    losses_of: Callable[[random.Random, float], Iterable[Tuple[str, Tensor]]],
    config: EpisodicConfig,
    settings: Mapping[str, Any],
    run: Run,
    *,
    title: str,
    loss_names: Sequence[str] = ("query loss",),
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Step everything in place, resuming from `run`.

    The episodes of a step are shared out among `workers`. Raises ConfigError if they can't be in
    equal parts, or the loss stays no number.

    Args:
        groups: of Adam, those whose gradients are clipped together in one sequence: "parameters"
            (tensors by name) and their peak "rate".
        losses_of: draws an episode and gives its losses, each with its name, told the share of
            training that is over; none if there is nothing to learn from. Their gradients add up;
            each is taken before the next loss is asked for.
        config: how long.
        settings: what is written down beside the run's state.
        loss_names: for the progress bar and the log, where a loss that none of a
            step's episodes has is 0.
    """
    if config.episodes_a_step % workers.count:
        raise ConfigError(
            f"{config.episodes_a_step} episodes a step can't be shared out among {workers.count} "
            "processes; give a multiple of them (--episodes-a-step)"
        )
    flat = [group for together in groups for group in together]
    everything: Dict[str, Tensor] = {k: v for g in flat for k, v in g["parameters"].items()}
    clipped = [[p for g in together for p in g["parameters"].values()] for together in groups]
    peaks = [group["rate"] for group in flat]
    optimiser = torch.optim.Adam(
        [{"params": list(g["parameters"].values()), "lr": g["rate"]} for g in flat], fused=True
    )
    stepper = Stepper(optimiser, clipped, config.clip)
    course = Course(
        everything,
        optimiser,
        config,
        settings,
        run,
        title=title,
        progress=progress,
        workers=workers,
    )
    while course.done < 1:
        for group, peak in zip(optimiser.param_groups, peaks):
            group["lr"] = peak * cosine(course.done, 0.1)
        optimiser.zero_grad(set_to_none=True)
        totals, counts = dict.fromkeys(loss_names, 0.0), dict.fromkeys(loss_names, 0)
        for number in range(workers.rank, config.episodes_a_step, workers.count):
            rng = random.Random(f"{config.seed} {course.step} {number}")
            for name, loss in losses_of(rng, course.done):
                # the mean over workers makes it the mean over all of the step's episodes
                (loss * workers.count / config.episodes_a_step).backward()
                totals[name] += loss.item()
                counts[name] += 1
        workers.average_gradients(everything.values())
        stepper.take(course.step + 1)
        course.advance()
        sums = workers.totals([*totals.values(), *counts.values()])
        met = zip(loss_names, sums, sums[len(loss_names) :])
        means = {name: total / max(1, count) for name, total, count in met}
        figures = {**means, "minutes": course.elapsed / 60}
        course.tell(figures, {name: f"{mean:.3f}" for name, mean in means.items()})
        course.keep()
    course.close()
