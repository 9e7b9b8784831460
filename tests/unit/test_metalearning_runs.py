"""A run's folder: what is resumed is exactly what was saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Optional

import pytest
import torch
from torch import Tensor

from rasa_onramp.errors import CheckpointError
from rasa_onramp.metalearning.runs import Run, corpus_of, kept_setting


def fresh() -> Dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator).requires_grad_(True)
        for name, shape in (("a/weight", (3, 2)), ("b.bias", (4,)), ("scalar", ()))
    }


def adam(parameters: Dict[str, Tensor], **how) -> torch.optim.Optimizer:
    return torch.optim.Adam(list(parameters.values()), lr=0.1, **how)


def train(parameters: Dict[str, Tensor], optimiser: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        sum((p.sin() * 3).sum() for p in parameters.values()).backward()  # type: ignore[union-attr]
        optimiser.step()


@pytest.mark.parametrize("fused", [False, True])
def test_a_resumed_run_goes_on_as_if_never_stopped(fused: bool, tmp_path: Path) -> None:
    through = fresh()
    train(through, adam(through, fused=fused), 7)

    first = fresh()
    optimiser = adam(first, fused=fused)
    train(first, optimiser, 4)
    Run(tmp_path, tensorboard=False).save(4, first, optimiser)

    second = {name: torch.zeros_like(p).requires_grad_(True) for name, p in first.items()}
    again = adam(second, fused=fused)
    assert Run(tmp_path, tensorboard=False).resume(second, again) == 4
    for name, parameter in second.items():
        assert torch.equal(parameter, first[name])
        kept, saved = again.state[parameter], optimiser.state[first[name]]
        assert set(kept) == set(saved) == {"step", "exp_avg", "exp_avg_sq"}
        for key, value in saved.items():
            assert torch.equal(kept[key], value), (name, key)
            assert kept[key].shape == value.shape
    train(second, again, 3)
    assert all(torch.equal(second[name], through[name]) for name in through)


def test_a_new_folder_starts_at_nothing(tmp_path: Path) -> None:
    parameters = fresh()
    run = Run(tmp_path / "new" / "folder", tensorboard=False)
    assert run.resume(parameters, adam(parameters)) == 0
    assert all(torch.equal(p, q) for p, q in zip(parameters.values(), fresh().values()))


def test_a_later_save_replaces_the_earlier(tmp_path: Path) -> None:
    parameters = fresh()
    run = Run(tmp_path, tensorboard=False)
    run.save(1, parameters, config={"seed": 3, "shots": {0: 0.5}})
    with torch.no_grad():
        parameters["b.bias"] += 1
    run.save(2, parameters)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "state.safetensors"]
    assert kept_setting(tmp_path, "seed") == 3
    assert kept_setting(tmp_path, "rank") is kept_setting(tmp_path / "new", "seed") is None
    found = fresh()
    assert run.resume(found) == 2
    assert torch.equal(found["b.bias"], parameters["b.bias"])


def test_a_save_that_was_cut_short_leaves_the_one_before(tmp_path: Path) -> None:
    parameters = fresh()
    run = Run(tmp_path, tensorboard=False)
    run.save(5, parameters)
    (tmp_path / "state.safetensors.part").write_bytes(b"half a file")
    assert Run(tmp_path, tensorboard=False).resume(parameters) == 5


@pytest.mark.parametrize("what", ["another shape", "another name"])
def test_a_run_of_another_model_is_refused(what: str, tmp_path: Path) -> None:
    parameters = fresh()
    run = Run(tmp_path, tensorboard=False)
    run.save(5, parameters)
    if what == "another shape":
        parameters["b.bias"] = torch.zeros(5)
    else:
        parameters["c.bias"] = parameters.pop("b.bias")
    before = {name: value.clone() for name, value in parameters.items()}
    with pytest.raises(
        CheckpointError, match=r"another model \([bc]\.bias\); give a new run folder"
    ):
        run.resume(parameters)
    assert all(torch.equal(parameters[name], value) for name, value in before.items())


def test_a_run_of_something_else_is_refused(tmp_path: Path) -> None:
    def run(**identity: object) -> Run:
        return Run(tmp_path, identity=identity, tensorboard=False)

    parameters = fresh()
    run(algorithm="meta-sgd", seed=0).save(5, parameters, config={"steps": 9})
    assert run(algorithm="meta-sgd", seed=0).resume(parameters) == 5
    other = {name: torch.zeros_like(p) for name, p in parameters.items()}
    with pytest.raises(CheckpointError) as caught:
        run(algorithm="fomaml", seed=0).resume(other)
    assert str(caught.value) == (
        f"{tmp_path / 'state.safetensors'} is of another algorithm (meta-sgd, not fomaml); "
        "give a new run folder"
    )
    assert not any(p.any() for p in other.values())
    with pytest.raises(CheckpointError, match=r"another seed \(0, not 1\)"):
        run(algorithm="meta-sgd", seed=1).resume(parameters)
    # an earlier version wrote nothing of the kind
    run().save(6, parameters)
    assert run(algorithm="fomaml", seed=3).resume(parameters) == 6


def test_a_corpus_is_known_by_its_services() -> None:
    name = corpus_of(["b", "a"])
    assert name.startswith("2 services, ") and name == corpus_of(("a", "b"))
    assert len({name, corpus_of(["a", "c"]), corpus_of(["a", "b", "c"]), corpus_of(["ab"])}) == 4


@pytest.mark.parametrize(
    ("steps", "minutes", "over"),
    [
        (100, 5.0, True),
        (50, 1.0, True),
        (101, 5.0, False),
        (100, 6.0, False),
        (100, None, False),
    ],
)
def test_training_that_ended_is_over_unless_more_is_asked_for(
    steps: int, minutes: Optional[float], over: bool, tmp_path: Path
) -> None:
    run = Run(tmp_path, tensorboard=False)
    assert not run.ended(steps, minutes)
    run.save(3, fresh())
    assert not run.ended(steps, minutes)
    run.save(4, fresh(), ended=(100, 5.0))
    assert run.ended(steps, minutes) == over
    run.save(5, fresh(), ended=(100, None))
    assert run.ended(steps, minutes) == (steps <= 100)


@pytest.mark.parametrize("content", [b"", b"noise" * 20])
def test_a_damaged_state_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        Run(tmp_path, tensorboard=False).resume(fresh())
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).endswith("; give a new run folder")


def test_steps_that_are_taken_again_are_logged_once(tmp_path: Path) -> None:
    parameters, run = fresh(), Run(tmp_path, tensorboard=False)
    for step in range(1, 6):
        run.log(step, {"loss": 1.0})
        if step == 3:
            run.save(step, parameters)
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')  # it was killed as it wrote
    again = Run(tmp_path, tensorboard=False)
    assert again.resume(parameters) == 3
    for step in (4, 5):
        again.log(step, {"loss": 0.5})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [
        *((1, 1.0), (2, 1.0), (3, 1.0)),
        *((4, 0.5), (5, 0.5)),
    ]


def test_a_run_that_ended_before_its_first_state_is_logged_anew(tmp_path: Path) -> None:
    first = Run(tmp_path, tensorboard=False)
    assert first.resume(fresh()) == 0
    first.log(1, {"loss": 1.0})
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 2, "lo')
    again = Run(tmp_path, tensorboard=False)
    assert again.resume(fresh()) == 0
    again.log(1, {"loss": 0.5})
    again.log(2, {"loss": 0.25})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [0.5, 0.25]


def test_figures_are_logged_a_line_each(tmp_path: Path) -> None:
    run = Run(tmp_path, tensorboard=False)
    run.log(1, {"loss": 0.5})
    run.log(2, {"loss": 0.25, "turns/s": 9.0})
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.25, "turns/s": 9.0},
    ]
