"""Two real processes that train tracker and replies together: the steps are those of one.

A minute; in tests/unit/test_parallel.py the same is done with the tracker alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rasa_onramp.dialogue import Corpus
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.joint import JointConfig, meta_train_jointly
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.reply_training import ReplyMetaConfig
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import MetaConfig
from servers import free_port
from tiny_replies import SCHEMA, corpus, embed, random_updates, tiny_model
from tiny_tracker import tiny_tracker

pytest.importorskip("transformers")

HERE = Path(__file__).resolve().parent
CONFIG = JointConfig(
    steps=3,
    episodes_a_step=4,
    tracker=MetaConfig(inner_steps=2, rank=2, shots={0: 1.0, 2: 2.0}, queries=2),
    replies=ReplyMetaConfig(inner_steps=2),
)
WORKER = """
import sys
from pathlib import Path
from safetensors.torch import save_file
import torch
from rasa_onramp.metalearning.parallel import join_workers
from test_joint_workers import learned

torch.set_num_threads(1)
workers = join_workers(torch.device("cpu"))
folder = Path(sys.argv[1])
save_file(learned(folder / "run", workers), str(folder / f"{workers.rank}.safetensors"))
"""


def learned(folder: Path, workers: Workers = ALONE) -> Dict[str, Tensor]:
    """All that both have learned."""
    tracker, replies = tiny_tracker(seed=0, rank=2), tiny_model()
    replies.weights = random_updates(replies)
    talks = tuple(d for d in corpus(5).dialogues if d.id.startswith("d1"))
    tasks = tasks_of(Corpus({SCHEMA.name: SCHEMA}, talks))
    run = Run(folder, tensorboard=False)
    meta_train_jointly(
        tracker, replies, tasks, CONFIG, run, embed=embed, progress=False, workers=workers
    )
    parts = {
        "encoder": tracker.encoder.state_dict(),
        "tracker": tracker.weights,
        "tracker rates": tracker.rates,
        "replies": replies.weights,
        "replies rates": replies.rates,
    }
    return {
        f"{part}/{name}": value.detach().clone().contiguous()
        for part, values in parts.items()
        for name, value in values.items()
    }


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    port = free_port()
    started: List[subprocess.Popen] = []
    for rank in range(2):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), *sys.path]),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, "-W", "ignore", "-c", WORKER, str(tmp_path)]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    said = [process.communicate(timeout=280)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    one, two = (load_file(str(tmp_path / f"{rank}.safetensors")) for rank in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    alone = learned(tmp_path / "alone")
    assert set(one) == set(alone)
    for name, value in alone.items():
        # Adam's first steps are as long as the rate whatever the gradient, so rounding may show
        # where a gradient is nearly zero
        assert (one[name] - value).abs().max() < 2e-4, name
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("run", "alone")]
    assert len(logs[0]) == len(logs[1]) == CONFIG.steps
    for both, by_one in (map(json.loads, lines) for lines in zip(*logs)):
        for name in ("tracker query loss", "replies query loss"):
            assert both[name] == pytest.approx(by_one[name], rel=1e-3)
