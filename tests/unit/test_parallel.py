"""Two real processes that train one tracker together, in both stages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Dict

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.parallel import ALONE, Workers, join_workers
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import MetaConfig, meta_train
from rasa_onramp.tracker.model import StateTracker
from tiny_tracker import corpus, tiny_tracker
from two_processes import run_two

TESTS = Path(__file__).resolve().parents[1]
META = MetaConfig(
    steps=3,
    inner_steps=2,
    rank=2,
    shots={0: 1.0, 2: 2.0},
    queries=2,
    episodes_a_step=4,
    encoder_outer_rate=2e-3,
    weights_outer_rate=2e-3,
)
WORKER = """
import json, sys
from pathlib import Path
from safetensors.torch import save_file
import torch
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.multitask import MultitaskConfig, pretrain
from rasa_onramp.metalearning.parallel import join_workers
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import meta_train
from test_parallel import META, tensors_of
from tiny_tracker import corpus, tiny_tracker

torch.set_num_threads(1)
workers = join_workers(torch.device("cpu"))
parameter = torch.zeros(2, 3, requires_grad=True)
untouched = torch.zeros(1, requires_grad=True)
parameter.grad = torch.full((2, 3), 1.0 + workers.rank)
one_sided = torch.zeros(1, requires_grad=True)
if workers.first:
    one_sided.grad = torch.tensor([3.0])
workers.average_gradients([parameter, untouched, one_sided])
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
meta = tiny_tracker(seed=0)
log = Run(folder / "meta", tensorboard=False)
meta_train(meta, tasks_of(corpus(2, 8)), META, log, progress=False, workers=workers)
save_file(tensors_of(meta), str(folder / f"meta-{workers.rank}.safetensors"))
told = {"one_sided": one_sided.grad.item(), "untouched": untouched.grad is None,
        "totals": workers.totals([1.0, workers.rank])}
told = {**told, "rank": workers.rank, "count": workers.count, "mean": parameter.grad.mean().item()}
(folder / f"{workers.rank}.json").write_text(json.dumps({**told, "same": same}))
"""


def tensors_of(tracker: StateTracker) -> Dict[str, Tensor]:
    """All that a tracker has learned."""
    found = {f"encoder/{name}": value for name, value in tracker.encoder.state_dict().items()}
    found.update({f"weights/{name}": value for name, value in tracker.weights.items()})
    found.update({f"rates/{name}": value for name, value in tracker.rates.items()})
    return {name: value.detach().clone().contiguous() for name, value in found.items()}


def test_workers_step_together_and_one_reports(tmp_path: Path) -> None:
    run_two(WORKER, tmp_path, TESTS / "unit", seconds=300)
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [t["rank"] for t in told] == [0, 1]
    assert [t["count"] for t in told] == [2, 2]
    assert [t["mean"] for t in told] == [1.5, 1.5]
    assert [t["same"] for t in told] == [10.0, 10.0]
    # both took the same steps, though each read dialogues of its own
    one, two = (load_file(str(tmp_path / f"weights-{rank}.safetensors")) for rank in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert (tmp_path / "state.safetensors").is_file()
    assert [t["one_sided"] for t in told] == [1.5, 1.5]
    assert all(t["untouched"] for t in told)
    assert [t["totals"] for t in told] == [[2.0, 1.0]] * 2
    _same_as_one_process(tmp_path)


def _same_as_one_process(folder: Path) -> None:
    """Meta-training by both is that of one process with the same episodes, but for rounding."""
    one, two = (load_file(str(folder / f"meta-{rank}.safetensors")) for rank in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    tracker, before = tiny_tracker(seed=0), tensors_of(tiny_tracker(seed=0))
    run = Run(folder / "alone", tensorboard=False)
    meta_train(tracker, tasks_of(corpus(2, 8)), META, run, progress=False)
    alone = tensors_of(tracker)
    assert set(one) == set(alone)
    learned = [name for name in before if not torch.equal(before[name], alone[name])]
    assert any(name.startswith("encoder/") for name in learned)
    for name, value in alone.items():
        # Adam's first steps are as long as the rate whatever the gradient, so rounding may show
        # where a gradient is nearly zero
        far = (one[name] - value).abs().max().item()
        assert far < 1e-4, (name, far)
    losses = [(folder / name / "log.jsonl").read_text().splitlines() for name in ("meta", "alone")]
    assert len(losses[0]) == len(losses[1]) == META.steps
    for both, by_one in zip(*losses):
        key = "query loss"
        assert json.loads(both)[key] == pytest.approx(json.loads(by_one)[key], rel=1e-3)


def test_episodes_that_cant_be_shared_out_are_refused(tmp_path: Path) -> None:
    config, run = replace(META, episodes_a_step=3), Run(tmp_path, tensorboard=False)
    with pytest.raises(ConfigError, match=r"3 episodes a step .* 2 processes.*--episodes-a-step"):
        meta_train(tiny_tracker(seed=0), tasks_of(corpus(1, 4)), config, run, workers=Workers(0, 2))


def test_without_torchrun_there_is_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_workers(torch.device("cpu")) is ALONE
    assert ALONE.first and ALONE.same(0.25) == 0.25
    parameter = torch.ones(1, requires_grad=True)
    parameter.grad = torch.tensor([3.0])
    ALONE.average_gradients([parameter])
    assert parameter.grad.item() == 3.0
