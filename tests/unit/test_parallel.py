"""Two real processes that train one tracker together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
import torch
from safetensors.torch import load_file

from rasa_onramp.metalearning.parallel import ALONE, join_workers

TESTS = Path(__file__).resolve().parents[1]
WORKER = """
import json, sys
from pathlib import Path
from safetensors.torch import save_file
import torch
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.multitask import MultitaskConfig, pretrain
from rasa_onramp.metalearning.parallel import join_workers
from rasa_onramp.metalearning.runs import Run
from tiny_tracker import corpus, tiny_tracker

torch.set_num_threads(1)
workers = join_workers(torch.device("cpu"))
parameter = torch.zeros(2, 3, requires_grad=True)
untouched = torch.zeros(1, requires_grad=True)
parameter.grad = torch.full((2, 3), 1.0 + workers.rank)
workers.average_gradients([parameter, untouched])
same = workers.same(10.0 + workers.rank)
folder = Path(sys.argv[1])
tracker = tiny_tracker(seed=0)
config = MultitaskConfig(steps=3, tokens_a_batch=600, warmup=1, encoder_rate=3e-3, heads_rate=3e-3)
run = Run(folder, tensorboard=False)
pretrain(tracker, tasks_of(corpus(2, 8)), config, run, progress=False, workers=workers)
save_file(
    {k: v.detach().clone() for k, v in tracker.weights.items()},
    str(folder / f"weights-{workers.rank}.safetensors"),
)
told = {"rank": workers.rank, "count": workers.count, "mean": parameter.grad.mean().item()}
(folder / f"{workers.rank}.json").write_text(json.dumps({**told, "same": same}))
"""


def test_workers_step_together_and_one_reports(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: List[subprocess.Popen] = []
    for rank in range(2):
        environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, "-W", "ignore", "-c", WORKER, str(tmp_path)]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()[-2000:]
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [t["rank"] for t in told] == [0, 1]
    assert [t["count"] for t in told] == [2, 2]
    assert [t["mean"] for t in told] == [1.5, 1.5]
    assert [t["same"] for t in told] == [10.0, 10.0]
    # both took the same steps, though each read dialogues of its own
    one, two = (load_file(str(tmp_path / f"weights-{rank}.safetensors")) for rank in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert (tmp_path / "state.safetensors").is_file()


def test_without_torchrun_there_is_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_workers(torch.device("cpu")) is ALONE
    assert ALONE.first and ALONE.same(0.25) == 0.25
    parameter = torch.ones(1, requires_grad=True)
    parameter.grad = torch.tensor([3.0])
    ALONE.average_gradients([parameter])
    assert parameter.grad.item() == 3.0
