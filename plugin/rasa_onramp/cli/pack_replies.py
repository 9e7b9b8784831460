"""rasa-onramp pack-replies"""

from __future__ import annotations

from itertools import chain
from typing import Optional, Tuple

import click

from rasa_onramp.cli.options import (
    language_model_option,
    progress_bar,
    progress_option,
    threads_option,
    writable,
)
from rasa_onramp.cli.training_corpora import corpus_embed, tasks_in
from rasa_onramp.cli.training_options import (
    data_option,
    paraphrases_option,
)
from rasa_onramp.errors import ConfigError

__all__ = ["command"]


@click.command("pack-replies")
@data_option
@paraphrases_option
@click.option(
    "--episodes", default=500, show_default=True, type=click.IntRange(0), help="How many."
)
@click.option(
    "--rephrasings",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="How many more of replies said in other words, for responses that a bot has already.",
)
@click.option("--out", required=True, type=click.Path(), help="File to write.")
@click.option("--seed", default=0, show_default=True, type=int, help="Seed of what is drawn.")
@language_model_option
@threads_option
@progress_option
def command(
    folders: Tuple[str, ...],
    paraphrases: Tuple[str, ...],
    episodes: int,
    rephrasings: int,
    out: str,
    seed: int,
    language_model: str,
    threads: Optional[int],
    progress: Optional[bool],
) -> None:
    """Draw episodes to learn replies from, delexicalise them and write their tokens to a file.

    An episode is a service, up to five support dialogues and two that are judged by; of replies in
    other words, four dialogues with another wording beside each reply that has one. Reading them
    takes neither spaCy nor the corpus, so that meta-train-replies runs on a bare GPU machine.
    """
    import torch

    from rasa_onramp.generator.packing import ReplyTokens
    from rasa_onramp.metalearning.rephrasings import make_rephrasings
    from rasa_onramp.metalearning.reply_episodes import make_episodes, write_episodes
    from rasa_onramp.weights import resolve_language_model

    if not episodes + rephrasings:
        raise ConfigError("--episodes and --rephrasings are both 0; ask for some")
    writable(out, "--out")
    if threads:
        torch.set_num_threads(threads)
    tokens = ReplyTokens.from_folder(resolve_language_model(language_model))
    embed = corpus_embed()
    tasks = tasks_in(folders, paraphrases)
    made = []
    drawn = chain(
        make_episodes(tokens, tasks, episodes, seed, embed),
        make_rephrasings(tokens, tasks, rephrasings, seed, embed),
    )
    with progress_bar(progress, total=episodes + rephrasings, desc="pack", unit="episode") as bar:
        for episode in drawn:
            made.append(episode)
            bar.update()
    write_episodes(out, made, tokens.vocabulary)
    sequences = [s for e in made for s in (*e.support, *e.query)]
    click.echo(
        f"{out}: {len(made)} episodes of {len({e.service for e in made})} services, "
        f"{sum(len(s.ids) for s in sequences)} tokens, "
        f"{sum(int(s.learned.sum()) for s in sequences)} of them learned"
    )
