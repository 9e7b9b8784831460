"""rasa-onramp init"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Optional

import click

from rasa_onramp.botfiles import plan_edits
from rasa_onramp.cli.options import agree, refuse_options
from rasa_onramp.cli.rasa_files import RASA_FILES, rasa_files_options
from rasa_onramp.rasa_project import RasaProject
from rasa_onramp.store import Store, open_store
from rasa_onramp.store.connect import URL_VARIABLE

__all__ = ["command"]

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command("init")
@click.option(
    "--bot",
    "folder",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of a Rasa bot: show the edits that add us to its config.yml, domain and "
    "endpoints.yml, and make them if you agree.",
)
@rasa_files_options
@click.option("--yes", is_flag=True, help="Make the edits without asking.")
def command(
    folder: Optional[Path],
    config: Optional[Path],
    domain: Optional[Path],
    endpoints: Optional[Path],
    yes: bool,
) -> None:
    """Create the store, or bring an older one up to date. Does nothing where it is up to date.

    If the edits to a bot are declined, nothing at all is changed and the exit code is 1.
    """
    if folder is None:
        refuse_options((*RASA_FILES, "yes"), "with --bot")
    with open_store() as store:
        if folder is None:
            _upgrade(store)
            return
        project = RasaProject(folder, config, domain, endpoints)
        edits = plan_edits(project)
        if edits:
            for line in edits.diff().splitlines():
                click.secho(line, fg=_COLOURS.get(line[:1]))
            if not yes:
                agree("Make these edits?")
        _upgrade(store)
        if edits:
            edits.apply()
            names = ", ".join(str(edit.path) for edit in edits.files)
            train = project.train_command()
            click.echo(f"Wrote {names}. Train the bot once, in its folder: {train}")
            made = {edit.path.name for edit in edits.files if edit.before is None}
            if "endpoints.yml" in made:
                click.echo(
                    "endpoints.yml is new. If the bot runs with another file, as by `rasa run "
                    "--endpoints FILE`, run this again with --endpoints FILE"
                )
        else:
            click.echo(f"{folder} has us already; no edits to make.")
        if not os.environ.get(URL_VARIABLE):
            click.echo(
                "The bot finds the store through an environment variable. Set it before "
                f"rasa train and rasa run:\n  export {URL_VARIABLE}="
                + shlex.quote(f"sqlite:///{store.name}")
            )


def _upgrade(store: Store) -> None:
    store.upgrade()
    click.echo(f"The store at {store.name} is ready.")
    if store.journal() not in (None, "wal"):
        click.echo(
            f"rasa-onramp: {store.name} takes no write-ahead log, so that messages wait for "
            "whoever writes; move it to a local disk, and run this again",
            err=True,
        )
