"""The language model that `rasa-onramp weights` fetched on this machine, lent to a test's home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from needed import lacking
from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.weights import resolve_language_model

__all__ = ["lend_language_model", "reply_model"]

#: Read when tests are collected, before each one's environment is cleaned.
_HOME = Path(os.environ.get("RASA_ONRAMP_HOME") or "~/.rasa-onramp").expanduser()


def lend_language_model(home: Path) -> bool:
    """Make the fetched models those of the user's directory `home`; whether there are any."""
    models = _HOME / "models"
    if not models.is_dir():
        return False
    home.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(models, target_is_directory=True)
    before = os.environ.get("RASA_ONRAMP_HOME")
    os.environ["RASA_ONRAMP_HOME"] = str(home)
    try:
        resolve_language_model()
    except CheckpointError:
        return False
    finally:
        if before is None:
            del os.environ["RASA_ONRAMP_HOME"]
        else:
            os.environ["RASA_ONRAMP_HOME"] = before
    return True


@pytest.fixture(scope="session")
def reply_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplyModel]:
    """The shipped initialisation in the real language model, where `make test` fetched it."""
    home = tmp_path_factory.mktemp("home")
    if not lend_language_model(home):
        lacking("the language model isn't here; run `rasa-onramp weights`")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_ONRAMP_HOME", str(home))
        yield load_replies()
