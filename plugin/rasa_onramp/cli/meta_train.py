"""rasa-onramp meta-train"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

import click
import torch

from rasa_onramp.cli.meta_train_metric import PURPOSES, meta_train_metric
from rasa_onramp.cli.meta_train_tracker import meta_train_tracker
from rasa_onramp.cli.options import (
    chosen_device,
    device_option,
    names_in,
    other_stages,
    progress_option,
    refuse_options,
    shows_progress,
    threads_option,
)
from rasa_onramp.cli.training_options import (
    data_option,
    episodes_option,
    meta_minutes_option,
    minutes_option,
    paraphrases_option,
    run_option,
    seed_option,
    stage_option,
)
from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.algorithms import ALGORITHMS
from rasa_onramp.metalearning.metric.training import METHODS, MetricConfig
from rasa_onramp.metalearning.multitask import MultitaskConfig
from rasa_onramp.metalearning.training import MetaConfig

__all__ = ["command"]

#: Parameters that a metric has no use for, and those that a tracker has none for.
_TRACKERS = (
    *("paraphrases", "stage", "start", "steps", "minutes", "episodes_a_step", "rank"),
    *("hold_back", "tokens", "encoder_rate", "heads_rate", "inner_rates", "device"),
)
_METRICS = ("purpose", "spare")

#: Parameters of one stage alone.
_MULTITASK = ("steps", "minutes", "tokens", "encoder_rate", "heads_rate")
_META = ("algorithm", "meta_steps", "meta_minutes", "episodes_a_step", "rank", "inner_rates")


@click.command("meta-train")
@data_option
@paraphrases_option
@run_option
@stage_option
@click.option("--start", type=click.Path(), default=None, help="Tracker folder to start from.")
@click.option(
    "--encoder",
    default="all-MiniLM-L6-v2",
    show_default=True,
    help="Pretrained BERT encoder: hub id, local folder or a known wheel.",
)
@click.option(
    "--algorithm",
    type=click.Choice([*ALGORITHMS, *METHODS]),
    default=MetaConfig.algorithm,
    show_default=True,
    help=f"How to meta-train; {', '.join(METHODS)}: a metric of sentence embeddings.",
)
@click.option(
    "--for",
    "purpose",
    type=click.Choice(list(PURPOSES)),
    default="domains",
    show_default=True,
    help="What a metric is to tell apart: domains, to route, or a domain's replies, to retrieve.",
)
@click.option(
    "--spare",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Services, drawn by the seed, that a metric isn't trained on, so as to be measured on.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=MultitaskConfig.steps,
    show_default=True,
    help="Multi-task steps.",
)
@minutes_option
@click.option(
    "--meta-steps",
    type=click.IntRange(1),
    default=MetaConfig.steps,
    show_default=True,
    help="Outer steps.",
)
@meta_minutes_option
@episodes_option
@click.option(
    "--rank",
    type=click.IntRange(1, 32),
    default=None,
    help="Rank of the low-rank updates that adapt, where the tracker has none yet.  "
    f"[default: {MetaConfig.rank}]",
)
@click.option(
    "--inner-rates",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Where the inner rates begin that the tracker has none of yet, times the usual ones.",
)
@click.option(
    "--hold-back",
    default="",
    help="Services (with commas) left to meta-training, so that it meets tasks it can't solve yet.",
)
@click.option(
    "--tokens",
    default=MultitaskConfig.tokens_a_batch,
    show_default=True,
    type=click.IntRange(512),
    help="Tokens a multi-task batch.",
)
@click.option(
    "--encoder-rate",
    type=click.FloatRange(0, min_open=True),
    default=MultitaskConfig.encoder_rate,
    show_default=True,
    help="Multi-task peak learning rate of the encoder; from a trained tracker give a third of it.",
)
@click.option(
    "--heads-rate",
    type=click.FloatRange(0, min_open=True),
    default=MultitaskConfig.heads_rate,
    show_default=True,
    help="Likewise of the pointers and special tokens.",
)
@seed_option
@device_option
@threads_option
@progress_option
def command(
    folders: Tuple[str, ...],
    paraphrases: Tuple[str, ...],
    folder: str,
    stage: str,
    start: Optional[str],
    encoder: str,
    algorithm: str,
    purpose: str,
    spare: int,
    steps: int,
    minutes: Optional[float],
    meta_steps: int,
    meta_minutes: Optional[float],
    episodes_a_step: Optional[int],
    rank: Optional[int],
    inner_rates: float,
    hold_back: str,
    tokens: int,
    encoder_rate: float,
    heads_rate: float,
    seed: int,
    device: str,
    threads: Optional[int],
    progress: Optional[bool],
) -> None:
    """Meta-train an initialisation on a corpus. Resumes where a run of the same folder stopped.

    Writes RUN/multitask and RUN/tracker, each a folder that --checkpoint and --start take. Under
    torchrun, multi-task pretraining takes one batch a process, and meta-training shares out the
    episodes of a step. Metric-based algorithms have one stage, of --meta-steps, in one process, and
    write RUN/metric, which OnrampModel takes.
    """
    if threads:
        torch.set_num_threads(threads)
    if algorithm in METHODS:
        refuse_options(_TRACKERS, f"with a tracker, not with {algorithm}")
        metric = MetricConfig(algorithm, steps=meta_steps, minutes=meta_minutes, seed=seed)
        meta_train_metric(
            folders,
            metric,
            Path(folder),
            purpose=purpose,
            spare=spare,
            encoder=encoder,
            progress=shows_progress(progress),
        )
        return
    refuse_options(_METRICS, f"with {', '.join(METHODS)}, not with {algorithm}")
    if start is not None:
        refuse_options(("encoder",), "without --start, whose tracker has its own")
    refuse_options(*other_stages(stage, _MULTITASK, _META))
    if stage == "meta" and start is None:
        raise ConfigError("--stage meta needs --start, a folder that the multi-task stage wrote")
    meta_train_tracker(
        folders,
        paraphrases,
        Path(folder),
        stage=stage,
        start=start,
        encoder=encoder,
        held=names_in(hold_back),
        rank=rank,
        episodes_a_step=episodes_a_step,
        multitask=MultitaskConfig(
            steps=steps,
            minutes=minutes,
            tokens_a_batch=tokens,
            encoder_rate=encoder_rate,
            heads_rate=heads_rate,
            seed=seed,
        ),
        meta=MetaConfig(
            algorithm=algorithm,
            steps=meta_steps,
            minutes=meta_minutes,
            lora_rate=inner_rates * MetaConfig.lora_rate,
            heads_rate=inner_rates * MetaConfig.heads_rate,
            seed=seed,
        ),
        device=torch.device(chosen_device(device)),
        progress=shows_progress(progress),
    )
