"""The user's own directory: where the store and fetched weights are kept unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from rasa_onramp.errors import ConfigError

__all__ = ["HOME_VARIABLE", "user_directory"]

HOME_VARIABLE = "RASA_ONRAMP_HOME"


def user_directory() -> Path:
    """$RASA_ONRAMP_HOME, else ~/.rasa-onramp. Nothing is created.

    Raises ConfigError when there is no home directory to be found.
    """
    try:
        return Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".rasa-onramp").expanduser()
    except (KeyError, RuntimeError) as error:  # KeyError: Python 3.8 and 3.9
        raise ConfigError(f"no home directory to be found; set {HOME_VARIABLE}") from error
