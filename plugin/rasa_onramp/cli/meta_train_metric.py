"""What `rasa-onramp meta-train` does with a metric-based algorithm."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import List, Sequence, Set, Tuple

import click
from torch import Tensor

from rasa_onramp.cli.corpora import read_all
from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.corpus import Task, tasks_of
from rasa_onramp.metalearning.metric.checkpoint import Metric, save_metric
from rasa_onramp.metalearning.metric.embeddings import embed_once
from rasa_onramp.metalearning.metric.kinds import domain_texts, kinds_of, reply_texts
from rasa_onramp.metalearning.metric.training import MetricConfig, train_metric
from rasa_onramp.metalearning.runs import Run, corpus_of
from rasa_onramp.runtime.background import load_background
from rasa_onramp.tracker.sentences import SentenceEncoder

__all__ = ["PURPOSES", "learned_and_spared", "meta_train_metric"]

#: What a metric can be for, with how the classes are found that it learns to tell apart.
PURPOSES = {"domains": domain_texts, "replies": reply_texts}

#: Dialogues read of a service at most: SGD has hundreds of one, hand-written domains fourteen.
_DIALOGUES = 60


def meta_train_metric(
    folders: Sequence[str],
    config: MetricConfig,
    root: Path,
    *,
    purpose: str,
    spare: int,
    encoder: str,
    progress: bool,
) -> None:
    """Train a metric on the corpora in `folders` and write it to ROOT/metric.

    Dialogues of split held-out are left out, and so are `spare` services, drawn by the seed, so
    that it can be measured on them. Raises FormatError, ConfigError, CheckpointError.
    """
    rng = random.Random(config.seed)
    learned, spared = learned_and_spared(folders, spare, rng)
    names = [task.schema.name for task in learned]
    texts = PURPOSES[purpose](learned, _DIALOGUES, rng)
    sentences, mean = SentenceEncoder.load(encoder), load_background().mean
    if sentences.encoder.config.hidden_size != len(mean):
        raise ConfigError(
            f"--encoder: {encoder} has embeddings of another size than the router's background, "
            f"{len(mean)}; use all-MiniLM-L6-v2"
        )

    identity = {
        "method": config.method,
        "purpose": purpose,
        "corpus": corpus_of(names),
        "seed": config.seed,
        "encoder": sentences.digest[:12],
    }
    run = Run(root / "log-metric", identity=identity)

    def embed(some: Sequence[str]) -> Tensor:
        path = run.folder / "embeddings.safetensors"
        return embed_once(path, some, sentences.embed, by=sentences.digest, progress=progress)

    areas = kinds_of(texts, embed)
    space = train_metric(areas, mean, config, run, progress=progress)
    metric = Metric(
        mean,
        space.projection.detach(),
        space.log_scale.exp().item(),
        space.threshold.item(),
        config.method,
        purpose,
        tuple(names),
        {"settings": asdict(config), "encoder": encoder, "spared": sorted(spared)},
    )
    digest = save_metric(metric, root / "metric")
    click.echo(f"{root / 'metric'}: {digest[:12]}")


def learned_and_spared(
    folders: Sequence[str], spare: int, rng: random.Random
) -> Tuple[List[Task], Set[str]]:
    """The services to train on, and the names of those that `rng` draws to be left out; dialogues
    of split held-out are.

    Raises FormatError, and ConfigError if none is left to train on.
    """
    corpus = read_all(folders, None)
    learnable = tuple(d for d in corpus.dialogues if d.split != "held-out")
    tasks = tasks_of(Corpus(corpus.schemas, learnable))
    if spare >= len(tasks):
        raise ConfigError(f"--spare: {spare} of {len(tasks)} services leave none to train on")
    spared = {task.schema.name for task in rng.sample(tasks, spare)}
    return [task for task in tasks if task.schema.name not in spared], spared
