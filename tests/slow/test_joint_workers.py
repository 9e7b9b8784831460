"""Two real processes that train tracker and replies together: the steps are those of one.

A minute; in tests/unit/test_parallel.py the same is done with the tracker alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rasa_onramp.metalearning.joint import JointConfig, meta_train_jointly
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.reply_training import ReplyMetaConfig
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import MetaConfig
from tiny_both import TASKS, everything, models
from tiny_replies import embed
from two_processes import run_two

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
    tracker, replies = models()
    run = Run(folder, tensorboard=False)
    meta_train_jointly(
        tracker, replies, TASKS, CONFIG, run, embed=embed, progress=False, workers=workers
    )
    return everything(tracker, replies)


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    run_two(WORKER, tmp_path, HERE, seconds=280)
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
