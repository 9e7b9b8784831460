"""A training's course: where it is resumed, how far it is, what it tells and keeps on the way."""

from __future__ import annotations

import time
from typing import Any, Mapping, Optional, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from rasa_onramp.metalearning.parallel import Workers
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.schedule import share_done

__all__ = ["Course", "CourseConfig"]


class CourseConfig(Protocol):
    """What a course needs to know of a configuration."""

    @property
    def steps(self) -> int: ...
    @property
    def minutes(self) -> Optional[float]: ...
    @property
    def save_every(self) -> int: ...


class Course:
    """Of the training of `parameters` by `optimiser`, both resumed from `run` if it holds a step.

    `step` counts the steps taken, `done` is the share of training that is over (1 and above at its
    end), `elapsed` the seconds that it took so far, those before it was resumed among them.
    `settings` are written down beside the run's state. Of several `workers` the first shows the
    progress bar, tells and keeps.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        optimiser: torch.optim.Optimizer,
        config: CourseConfig,
        settings: Mapping[str, Any],
        run: Run,
        *,
        title: str,
        progress: bool,
        workers: Workers,
    ):
        self._parameters, self._optimiser = parameters, optimiser
        self._config, self._settings = config, settings
        self._run, self._workers = run, workers
        self.step = run.resume(parameters, optimiser)
        self._bar = tqdm(
            total=config.steps,
            initial=self.step,
            disable=not progress or not workers.first,
            desc=title,
            unit="step",
        )
        self.elapsed = run.elapsed()
        self._began = time.monotonic() - self.elapsed
        ended = run.ended(config.steps, config.minutes)
        done = share_done(self.step, config.steps, self.elapsed, config.minutes)
        self.done = 1.0 if ended else done

    def advance(self) -> None:
        """Count a step that was taken."""
        config = self._config
        self.step += 1
        self.elapsed = time.monotonic() - self._began
        done = share_done(self.step, config.steps, self.elapsed, config.minutes)
        self.done = self._workers.same(done)
        self._bar.update()

    def tell(self, figures: Mapping[str, float], shown: Mapping[str, str]) -> None:
        """Log the step's `figures`; `shown` stands beside the progress bar."""
        if self._workers.first:
            self._bar.set_postfix(shown)
            self._run.log(self.step, figures)

    def keep(self) -> None:
        """Save where the step is one of those that are to be saved, or the last."""
        config = self._config
        over = self.done >= 1
        if self._workers.first and (self.step % config.save_every == 0 or over):
            ended = (config.steps, config.minutes) if over else None
            self._run.save(
                self.step,
                self._parameters,
                self._optimiser,
                self._settings,
                elapsed=self.elapsed,
                ended=ended,
            )

    def close(self) -> None:
        """End the progress bar's line."""
        self._bar.close()
