"""A training run's folder: what it takes to resume, and its log. No pickle."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

import torch
from safetensors import SafetensorError, safe_open  # type: ignore[attr-defined]
from safetensors.torch import load_file
from torch import Tensor

from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights.tensors import write_tensors
from rasa_onramp.whole_files import whole

__all__ = ["Run", "corpus_of", "kept_setting"]

_SETTINGS = "config.json"


def corpus_of(services: Iterable[str]) -> str:
    """The name of a corpus, to know it again: how many services, and a digest of which."""
    names = sorted(services)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return f"{len(names)} services, {digest[:8]}"


def kept_setting(folder: Union[str, Path], name: str) -> Any:
    """A setting that the run in `folder` was last saved with; None where there is none."""
    try:
        return json.loads((Path(folder) / _SETTINGS).read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError, AttributeError):
        return None


class Run:
    """Saves and restores parameters with Adam's moments; logs to JSON lines and tensorboard.

    A state is written to a new file and renamed, so a killed run resumes from the last whole one.
    `identity` says what the run is of (its algorithm, its corpus, …): it is written beside the
    parameters, and a run of something else isn't resumed. How long it goes on is no part of it.
    """

    def __init__(
        self,
        folder: Union[str, Path],
        *,
        identity: Optional[Mapping[str, object]] = None,
        tensorboard: bool = True,
    ):
        self.identity = {key: str(value) for key, value in (identity or {}).items()}
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._state = self.folder / "state.safetensors"
        self._resumed_at: Optional[int] = None
        self._writer = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:  # the `train` extra isn't installed: the JSON log remains
                pass
            else:
                self._writer = SummaryWriter(str(self.folder))

    def save(
        self,
        step: int,
        parameters: Mapping[str, Tensor],
        optimiser: Optional[torch.optim.Optimizer] = None,
        config: Optional[Mapping] = None,
        *,
        elapsed: float = 0.0,
        ended: Optional[Tuple[int, Optional[float]]] = None,
    ) -> None:
        """Keep `parameters` (and the optimiser's moments) as of `step`, and how many seconds of
        training are behind them; where training ends with it, also how many steps and minutes it
        was given.
        """
        tensors: Dict[str, Tensor] = {"step": torch.tensor([step])}
        for name, parameter in parameters.items():
            tensors[f"parameter/{name}"] = parameter.detach().cpu().contiguous().clone()
            if optimiser is not None:
                for key, value in optimiser.state.get(parameter, {}).items():
                    value = torch.as_tensor(value).detach().cpu()
                    tensors[f"{key}/{name}"] = (
                        value.reshape(value.shape or (1,)).contiguous().clone()
                    )
        if config is not None:
            with whole(self.folder / _SETTINGS) as file:
                file.write_text(json.dumps(dict(config), indent=1) + "\n", encoding="utf-8")
        told = {**self.identity, "seconds": f"{elapsed:.3f}"}
        if ended is not None:
            told["ended"] = json.dumps(ended)
        with whole(self._state) as file:
            write_tensors(tensors, file, told)

    def resume(
        self, parameters: Mapping[str, Tensor], optimiser: Optional[torch.optim.Optimizer] = None
    ) -> int:
        """Restore what `save` kept, in place; returns its step, or 0 for a new run.

        Raises CheckpointError, having changed nothing, if the folder holds a run of something else
        or of another shape, or a file that can't be read.
        """
        if not self._state.is_file():
            self._resumed_at = 0
            return 0
        mend = "give a new run folder"
        try:
            tensors, kept_identity = load_file(str(self._state)), self._metadata()
        except SafetensorError as error:
            raise CheckpointError(f"{self._state} can't be read ({error}); {mend}") from None
        for key, value in self.identity.items():
            # earlier versions wrote none
            if kept_identity.get(key, value) != value:
                raise CheckpointError(
                    f"{self._state} is of another {key} ({kept_identity[key]}, not {value}); {mend}"
                )
        for name, parameter in parameters.items():
            kept = tensors.get(f"parameter/{name}")
            if kept is None or kept.shape != parameter.shape:
                raise CheckpointError(f"{self._state} is of another model ({name}); {mend}")
        for name, parameter in parameters.items():
            with torch.no_grad():
                parameter.copy_(tensors[f"parameter/{name}"])
            if optimiser is not None and f"exp_avg/{name}" in tensors:
                state = optimiser.state[parameter]
                for key in ("exp_avg", "exp_avg_sq"):
                    kept = tensors[f"{key}/{name}"].reshape(parameter.shape)
                    state[key] = kept.to(parameter.device)
                # a fused optimiser counts steps where its parameters are, others on the CPU
                where = parameter.device if optimiser.defaults.get("fused") else "cpu"
                state["step"] = tensors[f"step/{name}"].reshape(()).to(where)
        self._resumed_at = int(tensors["step"])
        return self._resumed_at

    def _forget_after(self, step: int) -> None:
        """Drop the figures of later steps, which are taken again."""
        log = self.folder / "log.jsonl"
        if not log.is_file():
            return
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _step_of(line) <= step]
        if kept != lines:
            with whole(log) as file:
                file.write_text("".join(kept), encoding="utf-8")

    def elapsed(self) -> float:
        """Seconds of training behind what was saved; 0 where nothing was, or no time with it."""
        return float(self._metadata().get("seconds", 0)) if self._state.is_file() else 0.0

    def ended(self, steps: int, minutes: Optional[float]) -> bool:
        """Whether what was saved is a training's end, and no more `steps` or `minutes` (None: as
        many as it takes) are asked for now than were then.
        """
        told = self._metadata().get("ended") if self._state.is_file() else None
        if told is None:
            return False
        steps_then, minutes_then = json.loads(told)
        return steps <= steps_then and (minutes or math.inf) <= (minutes_then or math.inf)

    def _metadata(self) -> Dict[str, str]:
        """What is written beside the parameters. Raises SafetensorError."""
        opened: Any = safe_open(str(self._state), framework="pt")
        with opened as file:
            return file.metadata() or {}

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Append figures to log.jsonl, and to tensorboard where it is installed."""
        if self._resumed_at is not None:
            self._forget_after(self._resumed_at)
            self._resumed_at = None
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()


def _step_of(line: str) -> float:
    """The step that a line of log.jsonl is of; none where it was cut short."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf
