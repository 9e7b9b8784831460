"""Rasa's own way: data from the support dialogues, `rasa train`, and the trained bot's walk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from peer.rasa_data import LABELS, write_project
from peer.work import Job, Outcome

__all__ = ["run_rasa"]


def run_rasa(job: Job, config: Mapping[str, Any]) -> Outcome:
    """Train `config` on the support dialogues and walk the bot, each in a process of its own."""
    began = time.perf_counter()
    project = job.folder / "rasa"
    write_project(project, job.schema, job.support, config, job.seed)
    _run("rasa", ["train", "--out", "models", "--fixed-model-name", "peer"], project, job)
    trained = time.perf_counter() - began
    arguments = [job.folder, project / "models" / "peer.tar.gz", project / LABELS]
    _run("peer.rasa_walk", [str(path) for path in arguments], project, job)
    outcome = Outcome.load(job.folder)
    outcome.seconds["train"] = trained
    return outcome


def _run(module: str, arguments: Sequence[str], folder: Path, job: Job) -> None:
    environment: Dict[str, str] = {
        **os.environ,
        "RASA_TELEMETRY_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_INTRA_OP_PARALLELISM_THREADS": str(job.threads),
        "TF_INTER_OP_PARALLELISM_THREADS": str(job.threads),
    }
    log = job.folder / f"{module}.log"
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        said = log.read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"{module} {arguments[0]} failed:\n{said[-3000:]}")
