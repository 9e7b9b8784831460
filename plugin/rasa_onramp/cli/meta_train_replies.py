"""rasa-onramp meta-train-replies"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

import click
import torch

from rasa_onramp.cli.options import (
    chosen_device,
    device_option,
    language_model_option,
    other_stages,
    progress_option,
    refuse_options,
    shows_progress,
    threads_option,
)
from rasa_onramp.cli.training_options import (
    episodes_of_a_step,
    episodes_option,
    lora_algorithm_option,
    meta_minutes_option,
    minutes_option,
    run_option,
    seed_option,
    stage_option,
)
from rasa_onramp.errors import ConfigError
from rasa_onramp.generator.checkpoint import load_replies, new_replies, save_replies
from rasa_onramp.metalearning.algorithms import algorithm
from rasa_onramp.metalearning.parallel import join_workers
from rasa_onramp.metalearning.precision import learning_attention
from rasa_onramp.metalearning.reply_episodes import read_episodes
from rasa_onramp.metalearning.reply_multitask import ReplyMultitaskConfig, pretrain_replies
from rasa_onramp.metalearning.reply_training import ReplyMetaConfig, meta_train_replies
from rasa_onramp.metalearning.runs import Run, corpus_of

__all__ = ["command"]

#: Parameters of one stage alone.
_MULTITASK = ("steps", "minutes", "rate", "batch")
_META = ("name", "meta_steps", "meta_minutes", "episodes_a_step")


@click.command("meta-train-replies")
@click.option(
    "--episodes",
    "files",
    required=True,
    multiple=True,
    type=click.Path(),
    help="File that pack-replies wrote; repeatable.",
)
@run_option
@stage_option
@click.option("--start", type=click.Path(), default=None, help="Initialisation to start from.")
@lora_algorithm_option
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=ReplyMultitaskConfig.steps,
    show_default=True,
    help="Multi-task steps.",
)
@minutes_option
@click.option(
    "--meta-steps",
    type=click.IntRange(1),
    default=ReplyMetaConfig.steps,
    show_default=True,
    help="Outer steps.",
)
@meta_minutes_option
@episodes_option
@click.option(
    "--rank",
    type=click.IntRange(1, 32),
    default=ReplyMultitaskConfig.rank,
    show_default=True,
    help="Rank of the low-rank updates of a new initialisation.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=ReplyMultitaskConfig.rate,
    show_default=True,
    help="Multi-task peak learning rate.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=ReplyMultitaskConfig.learned_a_batch,
    show_default=True,
    help="Learned tokens a multi-task batch.",
)
@seed_option
@language_model_option
@device_option
@threads_option
@progress_option
def command(
    files: Tuple[str, ...],
    folder: str,
    stage: str,
    start: Optional[str],
    name: str,
    steps: int,
    minutes: Optional[float],
    meta_steps: int,
    meta_minutes: Optional[float],
    episodes_a_step: Optional[int],
    rank: int,
    rate: float,
    batch: int,
    seed: int,
    language_model: str,
    device: str,
    threads: Optional[int],
    progress: Optional[bool],
) -> None:
    """Meta-train the replies' initialisation. Resumes where a run of the same folder stopped.

    Writes RUN/multitask and RUN/replies, each a folder that --start takes. Under torchrun,
    processes share a batch in multi-task pretraining, and the episodes of a step in meta-training.
    """
    if threads:
        torch.set_num_threads(threads)
    where = torch.device(chosen_device(device))
    workers = join_workers(where)
    refuse_options(*other_stages(stage, _MULTITASK, _META))
    if start is not None:
        refuse_options(("language_model", "rank"), "without --start, whose replies have their own")
    if stage == "meta" and start is None:
        raise ConfigError("--stage meta needs --start, a folder that the multi-task stage wrote")
    attention = learning_attention(where, algorithm(name).order)
    torch.manual_seed(seed)
    if start is not None:
        model = load_replies(start, device=where, attention=attention)
    else:
        model = new_replies(language_model, device=where, attention=attention)
    vocabulary = model.tokens.vocabulary
    episodes = [episode for file in files for episode in read_episodes(file, vocabulary)]
    services = {episode.service for episode in episodes}
    identity = {
        "corpus": corpus_of(services),
        "seed": seed,
        "language model": model.name,
    }
    origin = {"start": model.digest[:12] or "none"}
    met = {*model.training_services, *services}
    model.training_services = tuple(sorted(met))
    root = Path(folder)
    shows = shows_progress(progress)
    if stage in ("multitask", "both"):
        first = ReplyMultitaskConfig(
            steps=steps, minutes=minutes, rank=rank, rate=rate, learned_a_batch=batch, seed=seed
        )
        known = {**identity, **origin}
        run = Run(root / "log-multitask", identity=known, tensorboard=workers.first)
        pretrain_replies(model, episodes, first, run, progress=shows, workers=workers)
        if workers.first:
            origin = {"start": save_replies(model, root / "multitask")[:12]}
            click.echo(f"{root / 'multitask'}: {origin['start']}")
    if stage in ("meta", "both"):
        log = root / "log-meta"
        second = ReplyMetaConfig(
            algorithm=name,
            steps=meta_steps,
            minutes=meta_minutes,
            episodes_a_step=episodes_of_a_step(
                episodes_a_step, log, ReplyMetaConfig.episodes_a_step, workers.count
            ),
            seed=seed,
        )
        known = {**identity, "algorithm": name, "inner optimiser": second.inner_optimiser}
        if workers.first or stage == "meta":  # others don't know what stage one has saved
            known.update(origin)
        run = Run(log, identity=known, tensorboard=workers.first)
        meta_train_replies(model, episodes, second, run, progress=shows, workers=workers)
        if not workers.first:
            return
        model.card["algorithm"] = name
        digest = save_replies(model, root / "replies")
        click.echo(f"{root / 'replies'}: {digest[:12]}")
