"""rasa-onramp meta-train-jointly"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

import click
import torch

from rasa_onramp.cli.options import (
    chosen_device,
    device_option,
    progress_option,
    shows_progress,
    threads_option,
)
from rasa_onramp.cli.training_corpora import corpus_embed, tasks_in
from rasa_onramp.cli.training_options import (
    data_option,
    episodes_of_a_step,
    episodes_option,
    lora_algorithm_option,
    meta_minutes_option,
    paraphrases_option,
    run_option,
    seed_option,
)
from rasa_onramp.generator.checkpoint import load_replies, save_replies
from rasa_onramp.metalearning.algorithms import algorithm
from rasa_onramp.metalearning.corpus import wordings_of
from rasa_onramp.metalearning.examples import check_schemas
from rasa_onramp.metalearning.joint import JointConfig, meta_train_jointly
from rasa_onramp.metalearning.parallel import join_workers
from rasa_onramp.metalearning.precision import learning_attention
from rasa_onramp.metalearning.runs import Run, corpus_of
from rasa_onramp.tracker.checkpoint import SHIPPED, load_tracker, save_tracker

__all__ = ["command"]


@click.command("meta-train-jointly")
@data_option
@paraphrases_option
@run_option
@click.option(
    "--start",
    type=click.Path(),
    default=None,
    help="Tracker folder to start from. Default: the one that ships.",
)
@click.option(
    "--start-replies",
    type=click.Path(),
    default=None,
    help="Folder of the replies' initialisation to start from. Default: the one that ships.",
)
@lora_algorithm_option
@click.option(
    "--predicted",
    type=click.FloatRange(0, 1),
    default=JointConfig.predicted,
    show_default=True,
    help="Share of episodes whose replies are learned in the states that the adapted tracker "
    "predicts; in the others, in the labelled ones.",
)
@click.option(
    "--meta-steps",
    type=click.IntRange(1),
    default=JointConfig.steps,
    show_default=True,
    help="Outer steps.",
)
@meta_minutes_option
@episodes_option
@seed_option
@device_option
@threads_option
@progress_option
def command(
    folders: Tuple[str, ...],
    paraphrases: Tuple[str, ...],
    folder: str,
    start: Optional[str],
    start_replies: Optional[str],
    name: str,
    predicted: float,
    meta_steps: int,
    meta_minutes: Optional[float],
    episodes_a_step: Optional[int],
    seed: int,
    device: str,
    threads: Optional[int],
    progress: Optional[bool],
) -> None:
    """Meta-train tracker and replies on the same episodes. Resumes where a run of the same folder
    stopped.

    The replies of an episode are learned in the states that the tracker predicts once it has
    adapted to the same support dialogues. Start from what the multi-task stages of meta-train and
    meta-train-replies wrote, or from what is meta-trained already. Writes RUN/tracker and
    RUN/replies, for --checkpoint and --reply-checkpoint. Under torchrun, processes share out the
    episodes of a step.
    """
    if threads:
        torch.set_num_threads(threads)
    where = torch.device(chosen_device(device))
    workers = join_workers(where)
    tasks = tasks_in(folders, paraphrases)
    torch.manual_seed(seed)
    tracker = load_tracker(start, device=where)
    check_schemas(tracker.tokens, tasks)
    attention = learning_attention(where, algorithm(name).order)
    replies = load_replies(start_replies, device=where, attention=attention)
    root = Path(folder)
    log = root / "log-joint"
    config = JointConfig(
        algorithm=name,
        steps=meta_steps,
        minutes=meta_minutes,
        episodes_a_step=episodes_of_a_step(
            episodes_a_step, log, JointConfig.episodes_a_step, workers.count
        ),
        predicted=predicted,
        seed=seed,
    )
    met = {task.schema.name for task in tasks}
    identity = {
        "algorithm": name,
        "inner optimiser": config.of_tracker.inner_optimiser,
        "corpus": corpus_of(met),
        "number of wordings": wordings_of(tasks),
        "seed": seed,
        "share of predicted states": predicted,
        "start": f"{tracker.digest[:12]} and {replies.digest[:12]}",
    }
    meta_train_jointly(
        tracker,
        replies,
        tasks,
        config,
        Run(log, identity=identity, tensorboard=workers.first),
        embed=corpus_embed(),
        progress=shows_progress(progress),
        workers=workers,
    )
    if not workers.first:
        return
    tracker.training_services = tuple(sorted({*tracker.training_services, *met}))
    replies.training_services = tuple(sorted({*replies.training_services, *met}))
    tracker.card["adaptation"] = config.of_tracker.adaptation
    for card in (tracker.card, replies.card):
        card.update(algorithm=name, predicted=predicted)
    tokenizer = (Path(SHIPPED if start is None else start) / "tokenizer.json").read_bytes()
    digest = save_tracker(tracker, root / "tracker", tokenizer)
    click.echo(f"{root / 'tracker'}: {digest[:12]}")
    digest = save_replies(replies, root / "replies")
    click.echo(f"{root / 'replies'}: {digest[:12]}")
