"""Options that name a Rasa bot's files."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, TypeVar

import click

__all__ = ["RASA_FILES", "rasa_files_options"]

_Command = TypeVar("_Command", bound=Callable)

#: The options' parameters.
RASA_FILES = ("config", "domain", "endpoints")

_PATH = click.Path(path_type=Path)


def rasa_files_options(command: _Command) -> _Command:
    """Give a command --config, --domain and --endpoints."""
    for option in (
        click.option(
            "--endpoints",
            type=_PATH,
            help="The file that `rasa run --endpoints` is given, where it isn't that bot's "
            "endpoints.yml.",
        ),
        click.option(
            "--domain",
            type=_PATH,
            help="File or folder of that bot's domain, where it isn't domain.yml or the folder "
            "domain.",
        ),
        click.option(
            "--config",
            type=_PATH,
            help="The file that `rasa train --config` is given, where it isn't that bot's "
            "config.yml.",
        ),
    ):
        command = option(command)
    return command
