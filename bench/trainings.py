"""Trainings that a measurement compares: each is done once, and goes on where it was stopped."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from tqdm import tqdm

from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.runs import Run

__all__ = ["Training", "data_options", "steps_of", "train_all", "trained", "training_options"]


@dataclass(frozen=True)
class Training:
    """What it is called, its folder, what it writes there in the end, its command of rasa-onramp
    with all options but --run, and by how many processes (torchrun) it is run.
    """

    name: str
    run: Path
    writes: str
    command: Tuple[str, ...]
    processes: int = 1

    @property
    def made(self) -> Path:
        """What it writes in the end."""
        return self.run / self.writes

    @property
    def steps(self) -> int:
        """How many steps it has taken."""
        return steps_of(self.run, "multitask" if self.writes == "multitask" else "meta")


def steps_of(run: Path, stage: str) -> int:
    """How many steps a stage of the training in the folder `run` has taken."""
    return Run(run / f"log-{stage}", tensorboard=False).resume({})


def training_options(parser: argparse.ArgumentParser) -> None:
    """What is trained on, what is measured on, and how, of all that compare trainings."""
    add = parser.add_argument
    add("--train", type=Path, required=True, help="corpus to train on")
    add("--paraphrases", type=Path, nargs="+", default=[], help="its schemas in other words")
    add("--runs", type=Path, required=True, help="folder for the trainings' runs")
    add("--data", type=Path, required=True, help="corpus to measure on")
    add("--services", default="unseen", help="unseen, all, or names with commas")
    add("--seeds", type=int, default=2, help="support sets a service")
    add("--limit", type=int, default=4, help="held-out dialogues a service and seed, at most")
    add("--seed", type=int, default=0, help="of the trainings")
    add("--threads", type=int, default=1, help="of each process")
    add("--jobs", type=int, default=1, help="processes")
    add("--json", type=Path, required=True)


def data_options(options: argparse.Namespace) -> List[str]:
    """What all trainings of a measurement with these options have on their command line."""
    found = ["--data", str(options.train), "--quiet"]
    found += [each for path in options.paraphrases for each in ("--paraphrases", str(path))]
    return [*found, "--seed", str(options.seed), "--threads", str(options.threads)]


def train_all(trainings: Sequence[Training], *, jobs: int) -> Dict[str, Optional[float]]:
    """Do what isn't done yet, `jobs` at a time, those of several processes first and one by one; by
    name the seconds that each took (`trained`).
    """
    alone = [training for training in trainings if training.processes > 1]
    others = [training for training in trainings if training.processes == 1]
    found: Dict[str, Optional[float]] = {}
    with ThreadPoolExecutor(jobs) as pool, tqdm(
        total=len(trainings), desc="train", unit="run", disable=None
    ) as bar:
        for some, do in ((alone, map), (others, pool.map)):
            for training, seconds in zip(some, do(trained, some)):
                found[training.name] = seconds
                bar.update()
    return found


def trained(training: Training) -> Optional[float]:
    """Train, unless that is done; the seconds that it took, None if it was stopped in between.

    Raises ConfigError where it fails, with the last line that it said, and where the folder has a
    run of another command.
    """
    note = training.run / "command.json"
    command, whole = list(training.command), not training.run.exists()
    if whole:
        training.run.mkdir(parents=True)
        _note(note, command, None)
    kept = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    if kept.get("command") != command:
        raise ConfigError(f"{training.run} was trained with other options; give another --runs")
    if training.made.is_dir():
        seconds: Optional[float] = kept["seconds"]
        return seconds
    began = time.monotonic()
    program = [sys.executable, "-m"]
    if training.processes > 1:
        program += ["torch.distributed.run", "--standalone", "--nproc-per-node"]
        program += [str(training.processes), "-m", "--"]
    ended = subprocess.run(
        [*program, "rasa_onramp.cli", *command, "--run", str(training.run)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if ended.returncode:
        lines = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()
        # torchrun writes a report of its own below
        said = next((line for line in lines if line.startswith("error: ")), lines[-1])
        if ended.returncode < 0:  # its last words were of something else
            said = f"it was ended by signal {-ended.returncode}; is there memory for --jobs?"
        raise ConfigError(f"{training.name} wasn't trained: {said}")
    taken = round(time.monotonic() - began, 1) if whole else None
    _note(note, command, taken)
    return taken


def _note(path: Path, command: Sequence[str], seconds: Optional[float]) -> None:
    told = {"command": command, "seconds": seconds}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
