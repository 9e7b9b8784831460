"""Trainings that a measurement compares, run by the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import trainings
from rasa_onramp.errors import ConfigError
from trainings import Training, train_all, trained


def training(run: Path, *command: str) -> Training:
    return Training("one", run, "tracker", command)


def test_a_training_that_fails_is_named(tmp_path: Path) -> None:
    wrong = training(tmp_path / "run", "meta-train", "--data", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"one wasn't trained: .*nowhere"):
        trained(wrong)


def test_a_training_that_is_killed_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory, say: what it said last was something else."""
    dies = "import os, signal, sys; print('a warning', file=sys.stderr, flush=True); "
    dies += "os.kill(os.getpid(), signal.SIGKILL)"
    run = subprocess.run
    monkeypatch.setattr(
        trainings.subprocess, "run", lambda _, **how: run([sys.executable, "-c", dies], **how)
    )
    with pytest.raises(ConfigError, match="ended by signal 9; is there memory for --jobs"):
        trained(training(tmp_path / "run", "meta-train"))


def test_what_is_made_is_not_made_again(tmp_path: Path) -> None:
    done = training(tmp_path / "run", "no-such-command")
    done.made.mkdir(parents=True)
    note = {"command": list(done.command), "seconds": 3.5}
    (done.run / "command.json").write_text(json.dumps(note), encoding="utf-8")
    assert train_all([done], jobs=2) == {"one": 3.5}


def test_a_folder_of_another_training_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run" / "tracker").mkdir(parents=True)
    with pytest.raises(ConfigError, match="run was trained with other options; give another"):
        trained(training(tmp_path / "run", "meta-train"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["tracker"]
