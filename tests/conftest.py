"""What every test gets: a clean environment, and the real things that several of them share."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything imports the libraries that read these.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test downloads anything
os.environ["RASA_TELEMETRY_ENABLED"] = "false"

import hypothesis
import pytest

from browser import browser
from language_model import reply_model
from postgres import postgres_server, postgres_url
from redis_server import redis_url

__all__ = [
    "browser",
    "clean_environment",
    "postgres_server",
    "postgres_url",
    "redis_url",
    "reply_model",
    "repository",
    "sgd_folder",
]

REPOSITORY = Path(__file__).resolve().parent.parent

# Examples vary in how long they take, and the machine in how busy it is.
hypothesis.settings.register_profile("onramp", deadline=None, derandomize=True)
hypothesis.settings.load_profile("onramp")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the user's own store, nor obeys a setting of the caller's shell."""
    for name in list(os.environ):
        if name.startswith("RASA_ONRAMP_") and name != "RASA_ONRAMP_SGD":
            monkeypatch.delenv(name)
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "rasa-onramp-home"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sgd_folder() -> Path:
    """The Schema-Guided Dialogue data: a folder with train/ and dev/, where there is one."""
    named = os.environ.get("RASA_ONRAMP_SGD")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data" / "sgd"
    if not folder.is_dir():
        pytest.skip("no SGD data here: set RASA_ONRAMP_SGD to its folder")
    return folder
