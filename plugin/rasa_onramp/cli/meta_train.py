"""rasa-onramp meta-train"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional, Tuple

import click
import torch

from rasa_onramp.cli.meta_train_metric import PURPOSES, meta_train_metric
from rasa_onramp.cli.options import (
    chosen_device,
    device_option,
    other_stages,
    progress_option,
    refuse_options,
    shows_progress,
    threads_option,
)
from rasa_onramp.cli.training_corpora import tasks_in
from rasa_onramp.cli.training_options import (
    data_option,
    episodes_of_a_step,
    episodes_option,
    meta_minutes_option,
    minutes_option,
    paraphrases_option,
    run_option,
    seed_option,
    stage_option,
)
from rasa_onramp.errors import ConfigError
from rasa_onramp.memory import MEGABYTE
from rasa_onramp.metalearning.algorithms import ALGORITHMS
from rasa_onramp.metalearning.corpus import wordings_of
from rasa_onramp.metalearning.examples import check_schemas
from rasa_onramp.metalearning.lora import lora_rank
from rasa_onramp.metalearning.metric.training import METHODS, MetricConfig
from rasa_onramp.metalearning.multitask import MultitaskConfig, pretrain
from rasa_onramp.metalearning.parallel import join_workers
from rasa_onramp.metalearning.runs import Run, corpus_of
from rasa_onramp.metalearning.training import MetaConfig, meta_train
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.encoder import Encoder
from rasa_onramp.tracker.model import StateTracker, initial_heads
from rasa_onramp.tracker.tokens import Tokens
from rasa_onramp.weights import resolve_encoder
from rasa_onramp.weights.files import sha256_of

__all__ = ["command"]

#: Parameters that a metric has no use for, and those that a tracker has none for.
_TRACKERS = (
    *("paraphrases", "stage", "start", "steps", "minutes", "episodes_a_step", "rank"),
    *("hold_back", "tokens", "encoder_rate", "heads_rate", "device"),
)
_METRICS = ("purpose", "spare")

#: Parameters of one stage alone.
_MULTITASK = ("steps", "minutes", "tokens", "encoder_rate", "heads_rate")
_META = ("algorithm", "meta_steps", "meta_minutes", "episodes_a_step", "rank")

#: Training reads a corpus again and again: what its tokens may take in memory, SGD's and more.
_TOKENS = 1024 * MEGABYTE


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
    default="meta-sgd",
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
    "--steps", type=click.IntRange(1), default=4000, show_default=True, help="Multi-task steps."
)
@minutes_option
@click.option(
    "--meta-steps", type=click.IntRange(1), default=300, show_default=True, help="Outer steps."
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
    where = chosen_device(device)
    workers = join_workers(torch.device(where))
    tasks = tasks_in(folders, paraphrases)
    names = [task.schema.name for task in tasks]
    held = [name.strip() for name in hold_back.split(",") if name.strip()]
    unknown = [name for name in held if name not in names]
    if unknown:
        raise ConfigError(
            f"--hold-back: no service {unknown[0]!r}; the data has {', '.join(names)}"
        )
    if len(set(held)) == len(names) and stage != "meta":
        raise ConfigError("--hold-back leaves no service to the multi-task stage; name fewer")
    torch.manual_seed(seed)
    tracker = _start(start, encoder, seed).to(where)
    has = lora_rank(tracker.weights)
    if has is not None and rank not in (None, has):
        raise ConfigError(f"--rank {rank}: the updates of {start} have {has}; leave --rank out")
    rank = has or rank or MetaConfig.rank
    source = resolve_encoder(encoder) if start is None else Path(start)
    tracker.tokens = Tokens.from_file(source / "tokenizer.json", most_bytes=_TOKENS)
    check_schemas(tracker.tokens, tasks)
    tokenizer = (source / "tokenizer.json").read_bytes()
    origin = (tracker.digest or sha256_of(source / "model.safetensors"))[:12]
    met = set(tracker.training_services)
    root = Path(folder)
    if stage in ("multitask", "both"):
        config = MultitaskConfig(
            steps=steps,
            minutes=minutes,
            tokens_a_batch=tokens,
            encoder_rate=encoder_rate,
            heads_rate=heads_rate,
            seed=seed,
        )
        first = [task for task in tasks if task.schema.name not in held]
        learned = [task.schema.name for task in first]
        identity: Dict[str, object] = {
            "corpus": corpus_of(learned),
            "number of wordings": wordings_of(first),
            "seed": seed,
            "start": origin,
        }
        pretrain(
            tracker,
            first,
            config,
            Run(root / "log-multitask", identity=identity, tensorboard=workers.first),
            progress=shows_progress(progress),
            workers=workers,
        )
        tracker.training_services = tuple(sorted(met.union(learned)))
        if workers.first:
            origin = save_tracker(tracker, root / "multitask", tokenizer)[:12]
            click.echo(f"{root / 'multitask'}: {origin}")
    if stage in ("meta", "both"):
        log = root / "log-meta"
        meta = MetaConfig(
            algorithm=algorithm,
            steps=meta_steps,
            minutes=meta_minutes,
            episodes_a_step=episodes_of_a_step(
                episodes_a_step, log, MetaConfig.episodes_a_step, workers.count
            ),
            rank=rank,
            seed=seed,
            emphasis=dict.fromkeys(held, 4.0),
        )
        identity = {
            "algorithm": algorithm,
            "inner optimiser": meta.inner_optimiser,
            "corpus": corpus_of(names),
            "number of wordings": wordings_of(tasks),
            "hold-back": ", ".join(sorted(held)) or "none",
            "rank": rank,
            "seed": seed,
        }
        if workers.first or stage == "meta":  # others don't know what stage one has saved
            identity["start"] = origin
        meta_train(
            tracker,
            tasks,
            meta,
            Run(log, identity=identity, tensorboard=workers.first),
            progress=shows_progress(progress),
            workers=workers,
        )
        if not workers.first:
            return
        tracker.training_services = tuple(sorted(met.union(names)))
        tracker.card["adaptation"] = meta.adaptation
        tracker.card["algorithm"] = algorithm
        digest = save_tracker(tracker, root / "tracker", tokenizer)
        click.echo(f"{root / 'tracker'}: {digest[:12]}")


def _start(start: Optional[str], encoder: str, seed: int) -> StateTracker:
    if start is not None:
        return load_tracker(start)
    body = Encoder.load(encoder)
    heads = initial_heads(body.config.hidden_size, torch.Generator().manual_seed(seed))
    return StateTracker(body, Tokens.from_file(resolve_encoder(encoder) / "tokenizer.json"), heads)
