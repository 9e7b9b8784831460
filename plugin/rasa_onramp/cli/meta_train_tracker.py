"""What `rasa-onramp meta-train` does with a tracker: its two stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Optional, Sequence

import click
import torch

from rasa_onramp.cli.training_corpora import tasks_in
from rasa_onramp.cli.training_options import episodes_of_a_step
from rasa_onramp.errors import ConfigError
from rasa_onramp.memory import MEGABYTE
from rasa_onramp.metalearning.corpus import Task, wordings_of
from rasa_onramp.metalearning.examples import check_schemas
from rasa_onramp.metalearning.lora import lora_rank
from rasa_onramp.metalearning.multitask import MultitaskConfig, pretrain
from rasa_onramp.metalearning.parallel import Workers, join_workers
from rasa_onramp.metalearning.runs import Run, corpus_of
from rasa_onramp.metalearning.training import MetaConfig, meta_train
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.encoder import Encoder
from rasa_onramp.tracker.model import StateTracker, initial_heads
from rasa_onramp.tracker.tokens import Tokens
from rasa_onramp.weights import resolve_encoder
from rasa_onramp.weights.files import sha256_of

__all__ = ["meta_train_tracker"]

#: Training reads a corpus again and again: what its tokens may take in memory, SGD's and more.
_TOKENS = 1024 * MEGABYTE

#: How much likelier than others a service is drawn that was left to meta-training.
_HELD_BACK = 4.0


@dataclass(frozen=True)
class _Training:
    """A tracker with its `tokenizer`, the file; what it is trained on, of which `held` are the
    services that are left to meta-training; and the folder `root` that it is written below.
    """

    tracker: StateTracker
    tokenizer: bytes
    tasks: Sequence[Task]
    held: Sequence[str]
    root: Path
    workers: Workers
    progress: bool

    def run(self, name: str, identity: Dict[str, object]) -> Run:
        """The run of a stage."""
        return Run(self.root / name, identity=identity, tensorboard=self.workers.first)

    def save(self, name: str, services: Sequence[str]) -> str:
        """Write the tracker, now trained on these services too, and say so; returns its digest."""
        tracker, folder = self.tracker, self.root / name
        tracker.training_services = tuple(sorted({*tracker.training_services, *services}))
        digest = save_tracker(tracker, folder, self.tokenizer)[:12]
        click.echo(f"{folder}: {digest}")
        return digest


def meta_train_tracker(
    folders: Sequence[str],
    paraphrases: Sequence[str],
    root: Path,
    *,
    stage: str,
    start: Optional[str],
    encoder: str,
    held: Sequence[str],
    rank: Optional[int],
    episodes_a_step: Optional[int],
    multitask: MultitaskConfig,
    meta: MetaConfig,
    device: torch.device,
    progress: bool,
) -> None:
    """Train a tracker on the corpora in `folders`, and write it to ROOT/multitask and ROOT/tracker.

    It starts from the folder `start`, or without one from an encoder. The services `held` are left
    to the meta stage, whose `rank` and `episodes_a_step` are those of the run or of the tracker
    where they aren't given, whatever `meta` says. Raises FormatError, ConfigError, CheckpointError.
    """
    workers = join_workers(device)
    tasks = tasks_in(folders, paraphrases)
    names = [task.schema.name for task in tasks]
    unknown = [name for name in held if name not in names]
    if unknown:
        raise ConfigError(
            f"--hold-back: no service {unknown[0]!r}; the data has {', '.join(names)}"
        )
    if len(set(held)) == len(names) and stage != "meta":
        raise ConfigError("--hold-back leaves no service to the multi-task stage; name fewer")
    torch.manual_seed(meta.seed)
    tracker = _start(start, encoder, meta.seed).to(device)
    has = lora_rank(tracker.weights)
    if has is not None and rank not in (None, has):
        raise ConfigError(f"--rank {rank}: the updates of {start} have {has}; leave --rank out")
    source = resolve_encoder(encoder) if start is None else Path(start)
    tracker.tokens = Tokens.from_file(source / "tokenizer.json", most_bytes=_TOKENS)
    check_schemas(tracker.tokens, tasks)
    tokenizer = (source / "tokenizer.json").read_bytes()
    training = _Training(tracker, tokenizer, tasks, held, root, workers, progress)
    origin: Optional[str] = (tracker.digest or sha256_of(source / "model.safetensors"))[:12]
    if stage in ("multitask", "both"):
        origin = _multitask_stage(training, multitask, origin)
    if stage in ("meta", "both"):
        episodes = episodes_of_a_step(
            episodes_a_step, root / "log-meta", MetaConfig.episodes_a_step, workers.count
        )
        rank = has or rank or MetaConfig.rank
        emphasis = dict.fromkeys(held, _HELD_BACK)
        settings = replace(meta, episodes_a_step=episodes, rank=rank, emphasis=emphasis)
        _meta_stage(training, settings, origin)


def _multitask_stage(
    training: _Training, config: MultitaskConfig, origin: Optional[str]
) -> Optional[str]:
    """Train on all but the services held back, from the tracker whose digest is `origin`; returns
    the new one's where this is the worker that saves it.
    """
    tasks = [task for task in training.tasks if task.schema.name not in training.held]
    names = [task.schema.name for task in tasks]
    identity: Dict[str, object] = {
        "corpus": corpus_of(names),
        "number of wordings": wordings_of(tasks),
        "seed": config.seed,
        "start": origin,
    }
    run, workers = training.run("log-multitask", identity), training.workers
    pretrain(training.tracker, tasks, config, run, progress=training.progress, workers=workers)
    return training.save("multitask", names) if workers.first else None


def _meta_stage(training: _Training, config: MetaConfig, origin: Optional[str]) -> None:
    """Meta-train on all services, from the tracker whose digest is `origin`, None for a worker that
    doesn't know it.
    """
    tracker, tasks, workers = training.tracker, training.tasks, training.workers
    names = [task.schema.name for task in tasks]
    identity: Dict[str, object] = {
        "algorithm": config.algorithm,
        "inner optimiser": config.inner_optimiser,
        "beginning of inner rates": f"{config.lora_rate:g} and {config.heads_rate:g}",
        "corpus": corpus_of(names),
        "number of wordings": wordings_of(tasks),
        "hold-back": ", ".join(sorted(training.held)) or "none",
        "rank": config.rank,
        "seed": config.seed,
    }
    if origin is not None:
        identity["start"] = origin
    run = training.run("log-meta", identity)
    meta_train(tracker, tasks, config, run, progress=training.progress, workers=workers)
    if workers.first:
        tracker.card["adaptation"] = config.adaptation
        tracker.card["algorithm"] = config.algorithm
        training.save("tracker", names)


def _start(start: Optional[str], encoder: str, seed: int) -> StateTracker:
    if start is not None:
        return load_tracker(start)
    body = Encoder.load(encoder)
    heads = initial_heads(body.config.hidden_size, torch.Generator().manual_seed(seed))
    return StateTracker(body, Tokens.from_file(resolve_encoder(encoder) / "tokenizer.json"), heads)
