"""rasa-onramp init"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Optional

import click

from rasa_onramp.botfiles import plan_edits
from rasa_onramp.cli.options import agree
from rasa_onramp.store import open_store
from rasa_onramp.store.connect import URL_VARIABLE

__all__ = ["command"]

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command("init")
@click.option(
    "--bot",
    "folder",
    type=click.Path(),
    default=None,
    help="Folder of a Rasa bot: show the edits that add us to its config.yml, domain and "
    "endpoints.yml, and make them if you agree.",
)
@click.option(
    "--domain",
    type=click.Path(),
    default=None,
    help="File or folder of that bot's domain, where it isn't domain.yml or the folder domain.",
)
@click.option("--yes", is_flag=True, help="Make the edits without asking.")
def command(folder: Optional[str], domain: Optional[str], yes: bool) -> None:
    """Create the store, or bring an older one up to date. Does nothing where it is up to date.

    If the edits to a bot are declined, nothing at all is changed and the exit code is 1.
    """
    for option, given in (("--domain", domain is not None), ("--yes", yes)):
        if given and folder is None:
            raise click.UsageError(f"{option} goes with --bot")
    with open_store() as store:
        if folder is None:
            store.upgrade()
            click.echo(f"The store at {store.name} is ready.")
            return
        edits = plan_edits(Path(folder), domain=None if domain is None else Path(domain))
        if edits:
            for line in edits.diff().splitlines():
                click.secho(line, fg=_COLOURS.get(line[:1]))
            if not yes:
                agree("Make these edits?")
        store.upgrade()
        click.echo(f"The store at {store.name} is ready.")
        if edits:
            edits.apply()
            names = ", ".join(str(edit.path) for edit in edits.files)
            click.echo(f"Wrote {names}. Train the bot once: rasa train")
        else:
            click.echo(f"{folder} has us already; no edits to make.")
        if not os.environ.get(URL_VARIABLE):
            click.echo(
                "The bot finds the store through an environment variable. Set it before "
                f"rasa train and rasa run:\n  export {URL_VARIABLE}="
                + shlex.quote(f"sqlite:///{store.name}")
            )
