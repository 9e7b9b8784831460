"""rasa-onramp evaluate"""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

import click

from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.evaluate_replies import evaluate_replies
from rasa_onramp.cli.evaluate_states import evaluate_states
from rasa_onramp.cli.options import (
    chosen_device,
    device_option,
    jobs_option,
    load,
    names_in,
    numbers,
    progress_option,
    threads_option,
    writable,
)
from rasa_onramp.cli.predictions import check_predictions
from rasa_onramp.evaluation.methods import ALL_METHODS, METHODS
from rasa_onramp.evaluation.plots import check_plots
from rasa_onramp.evaluation.protocol import Protocol
from rasa_onramp.evaluation.reply_few_shot import REPLY_METHODS
from rasa_onramp.formats import COMPLETE_FORMATS
from rasa_onramp.metalearning.finetuning import FineTuning
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning

__all__ = ["command"]


def _methods(
    value: Optional[str], known: Tuple[str, ...], default: Tuple[str, ...]
) -> Tuple[str, ...]:
    if value is None:
        return default
    found = names_in(value)
    if not found or not set(found) <= set(known):
        raise click.BadParameter(f"{value!r}: choose of {', '.join(known)}", param_hint="--method")
    return found


@click.command("evaluate")
@click.option(
    "--data",
    "paths",
    required=True,
    multiple=True,
    type=click.Path(),
    help="Folder or file of dialogues: SGD's format, YAML, or a folder of YAML files; repeatable.",
)
@click.option(
    "--format",
    "name",
    metavar="NAME",
    default=None,
    help=f"One of {', '.join(COMPLETE_FORMATS)}. Default: guessed.",
)
@click.option(
    "--services",
    metavar="NAMES",
    default="unseen",
    show_default=True,
    help="unseen (not among the checkpoint's training services), all, or names with commas.",
)
@click.option(
    "--shots",
    metavar="NUMBERS",
    default="0,5",
    show_default=True,
    callback=numbers(0),
    help="Sizes of support sets, in dialogues, separated by commas.",
)
@click.option(
    "--seeds",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="How many support sets are drawn of each size.",
)
@click.option(
    "--dialogues",
    type=click.Choice(["single", "all"]),
    default="single",
    show_default=True,
    help="Dialogues about one service only, or all.",
)
@click.option(
    "--own-split",
    is_flag=True,
    help="Take the support and held-out dialogues that the data itself names, instead of drawing "
    "them; seeds then only shuffle the support dialogues.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=None,
    help="At most so many held-out dialogues a service and seed. Default: all.",
)
@click.option(
    "--method",
    "method_names",
    metavar="NAMES",
    default=None,
    help=f"Of {', '.join(ALL_METHODS)}, separated by commas; default: {','.join(METHODS)}. With "
    f"--generator of {', '.join(REPLY_METHODS)}; default: all. There zero-shot and "
    "in-context are of our initialisation, not of the language model as it was published.",
)
@click.option(
    "--generator",
    is_flag=True,
    help="Measure the replies instead of the states, with states and results given.",
)
@click.option(
    "--replies",
    "replies_path",
    type=click.Path(),
    default=None,
    help="With --generator: write each turn and every method's reply to it as JSON lines here.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=None, help="Inner steps a run of `adapted`."
)
@click.option(
    "--finetune-rate",
    default=None,
    type=click.FloatRange(0, min_open=True),
    help=f"AdamW's rate of `finetune`. Default: {FineTuning.rate:g}, of replies "
    f"{ReplyFineTuning.rate:g}.",
)
@click.option(
    "--finetune-epochs",
    default=None,
    type=click.IntRange(1),
    help=f"Epochs of `finetune`. Default: {FineTuning.epochs}, of replies "
    f"{ReplyFineTuning.epochs}.",
)
@click.option(
    "--offers",
    is_flag=True,
    help="Mark the values the bot's own turns state: a track of its own, not text-only.",
)
@click.option(
    "--json", "json_path", type=click.Path(), default=None, help="Write all figures here."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with an evaluation of the same data, settings and --json that was interrupted: "
    "what it has measured is kept in FILE.journal until it is done.",
)
@click.option(
    "--plot",
    "plot_path",
    type=click.Path(),
    default=None,
    help="Write the few-shot curve, JGA against support dialogues, as a PNG here.",
)
@click.option(
    "--predictions",
    type=click.Path(),
    default=None,
    help="Write predicted states as SGD dialogue files into this folder, one folder a run.",
)
@click.option(
    "--checkpoint",
    type=click.Path(),
    default=None,
    help="Folder of a tracker written by meta-train; with --generator, of replies' initialisation "
    "by meta-train-replies. Default: the one that ships.",
)
@device_option
@threads_option
@jobs_option
@progress_option
def command(
    paths: Tuple[str, ...],
    name: Optional[str],
    services: str,
    shots: Tuple[int, ...],
    seeds: int,
    dialogues: str,
    own_split: bool,
    limit: Optional[int],
    method_names: Optional[str],
    generator: bool,
    replies_path: Optional[str],
    steps: Optional[int],
    finetune_rate: Optional[float],
    finetune_epochs: Optional[int],
    offers: bool,
    json_path: Optional[str],
    resume: bool,
    plot_path: Optional[str],
    predictions: Optional[str],
    checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
    jobs: int,
    progress: Optional[bool],
) -> None:
    """Measure zero-shot, plain fine-tuning and adaptation on a corpus, by the few-shot protocol.

    For each service and seed, support sets are drawn from its dialogues (the smaller ones are
    parts of the larger) and all methods are measured on the same held-out rest. Figures follow
    SGD's published definitions.
    """
    writable(json_path, "--json")
    writable(plot_path, "--plot")
    if plot_path is not None:
        check_plots()
    writable(replies_path, "--replies")
    check_predictions(paths, predictions, name)
    if resume and json_path is None:
        raise click.BadParameter("goes with --json", param_hint="--resume")
    known, default = (REPLY_METHODS,) * 2 if generator else (ALL_METHODS, METHODS)
    methods = _methods(method_names, known, default)
    protocol = Protocol(
        shots=tuple(sorted(shots)),
        seeds=seeds,
        methods=methods,
        dialogues=dialogues,
        limit=limit,
        offers=offers,
        own_split=own_split,
        finetuning=FineTuning(
            rate=finetune_rate or FineTuning.rate, epochs=finetune_epochs or FineTuning.epochs
        ),
        steps=steps,
    )
    if generator:
        given = {"offers": offers, "plot": plot_path, "predictions": predictions, "steps": steps}
        _only_states(given)
        finetuning = ReplyFineTuning(
            rate=finetune_rate or ReplyFineTuning.rate,
            epochs=finetune_epochs or ReplyFineTuning.epochs,
        )
        evaluate_replies(
            read_all(paths, name),
            services,
            protocol,
            finetuning,
            checkpoint=checkpoint,
            device=chosen_device(device),
            threads=threads,
            jobs=jobs,
            progress=progress,
            json_path=json_path,
            resume=resume,
            replies_path=replies_path,
            data=paths,
        )
        return
    if replies_path is not None:
        raise click.BadParameter("goes with --generator", param_hint="--replies")
    device = chosen_device(device)
    evaluate_states(
        load(checkpoint, device, threads),
        read_all(paths, name),
        services,
        protocol,
        checkpoint=checkpoint,
        device=device,
        threads=threads,
        jobs=jobs,
        progress=progress,
        json_path=json_path,
        resume=resume,
        plot_path=plot_path,
        predictions=predictions,
        data=paths,
    )


def _only_states(given: Mapping[str, object]) -> None:
    for name in (name for name, value in given.items() if value):
        raise click.BadParameter("goes with states, not with --generator", param_hint=f"--{name}")
