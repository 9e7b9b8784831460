"""Options that the commands which train share."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from rasa_onramp.metalearning.algorithms import ALGORITHMS
from rasa_onramp.metalearning.runs import kept_setting

__all__ = [
    "data_option",
    "episodes_of_a_step",
    "episodes_option",
    "lora_algorithm_option",
    "meta_minutes_option",
    "minutes_option",
    "paraphrases_option",
    "run_option",
    "seed_option",
    "stage_option",
]

data_option = click.option(
    "--data",
    "folders",
    required=True,
    multiple=True,
    type=click.Path(),
    help="Training corpus: an SGD-format folder, or a folder of YAML files; repeatable. Its "
    "folders paraphrase_* are used.",
)
paraphrases_option = click.option(
    "--paraphrases",
    multiple=True,
    type=click.Path(),
    help="Folder whose schema.json has the first corpus's services in other words (SGD-X); "
    "repeatable.",
)
run_option = click.option(
    "--run", "folder", required=True, type=click.Path(), help="Folder to work in."
)
stage_option = click.option(
    "--stage",
    type=click.Choice(["multitask", "meta", "both"]),
    default="both",
    show_default=True,
    help="Multi-task pretraining, meta-training from --start, or one after the other.",
)
minutes_option = click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="End multi-task pretraining after so many minutes.",
)
meta_minutes_option = click.option(
    "--meta-minutes",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="End meta-training after so many minutes.",
)
episodes_option = click.option(
    "--episodes-a-step",
    type=click.IntRange(1),
    default=None,
    help="Episodes of an outer step; under torchrun a multiple of the processes, which share them "
    "out.  [default: what the run has had; of a new one 2, for replies alone 1, at least one a "
    "process]",
)
lora_algorithm_option = click.option(
    "--algorithm",
    "name",
    type=click.Choice([n for n, a in ALGORITHMS.items() if a.adapts(".lora_")]),
    default="meta-sgd",
    show_default=True,
    help="How to meta-train.",
)
seed_option = click.option(
    "--seed", default=0, show_default=True, type=int, help="Seed of everything random."
)


def episodes_of_a_step(given: Optional[int], run: Path, usual: int, processes: int) -> int:
    """What --episodes-a-step says. Where it isn't given, what the run of that folder has had, so
    that it goes on as the same training; a new one has `usual`, but at least one a process.
    """
    return given or kept_setting(run, "episodes_a_step") or max(usual, processes)
