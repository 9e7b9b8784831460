"""What every test gets: a clean environment, and the real things that several of them share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

# Before anything imports the libraries that read these.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test downloads anything
os.environ["RASA_TELEMETRY_ENABLED"] = "false"
for _name in ("no_proxy", "NO_PROXY"):  # a proxy that the caller has is for other hosts
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "127.0.0.1,localhost")))
if "PYTEST_XDIST_WORKER" in os.environ:
    # there is a process for each core already: threads of one would wait for the other's
    os.environ.setdefault("OMP_NUM_THREADS", "1")

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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """How `pytest -n 2 --dist loadgroup` shares the tests: a file's run in one process, which makes
    its fixtures once; so do all those of the bots that are trained and served, and they begin, as
    they take longest.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group("bots" if _with_bots(item) else item.path.name))
        if _with_bots(item):
            item.add_marker(pytest.mark.timeout(900))  # the first one trains and starts them
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not _with_bots(item))


def _with_bots(item: pytest.Item) -> bool:
    return "bots" in getattr(item, "fixturenames", ())


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


@pytest.fixture(scope="session")
def sgd_x_folder(sgd_folder: Path) -> Path:
    """SGD-X's schemas, v1 to v5; a clone of the dataset has them a folder deeper."""
    found = sgd_folder / "sgd_x"
    return found / "data" if (found / "data").is_dir() else found
