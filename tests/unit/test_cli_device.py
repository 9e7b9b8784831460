"""--device where a GPU is full or busy; the tests' machines have none, so it is made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import click
import pytest
import torch

from command_line import invoke
from rasa_onramp import onboarding
from rasa_onramp.cli import evaluate_states
from rasa_onramp.cli.options import chosen_device
from rasa_onramp.tracker.checkpoint import save_tracker
from tiny_tracker import corpus, tiny_tracker, tokenizer_json, write_domains


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A folder with two domains, which a store has, in data/, and a tracker in tracker/."""
    save_tracker(tiny_tracker(rank=2, steps=2), tmp_path / "tracker", tokenizer_json())
    (tmp_path / "data").mkdir()
    data = write_domains(tmp_path / "data", corpus(services=2, dialogues=2))
    assert invoke("init").code == 0
    assert invoke("import", data).code == 0
    return tmp_path


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Two GPUs that torch sees and can't use; the devices that were tried."""
    tried: List[str] = []
    zeros = torch.zeros

    def short_of_memory(*size: int, device: str = "cpu", **how: Any) -> torch.Tensor:
        tried.append(device)
        if device.startswith("cuda"):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
        return zeros(*size, device=device, **how)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "zeros", short_of_memory)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return tried


def test_auto_takes_the_cpu_where_the_gpu_is_full(
    full: List[str], capsys: pytest.CaptureFixture
) -> None:
    assert chosen_device("auto") == "cpu"
    told = "computing on the CPU: cuda can't be used (CUDA out of memory.)\n"
    assert capsys.readouterr().err == told


def test_a_gpu_that_was_asked_for_by_name_is_refused(full: List[str]) -> None:
    for name in ("cuda", "cuda:1"):
        with pytest.raises(click.BadParameter, match=f"{name} can't be used .*; free it, or try"):
            chosen_device(name)
    assert full == ["cuda", "cuda:1"]
    assert chosen_device("cpu") == "cpu"


def test_no_process_of_several_goes_to_the_cpu_alone(
    full: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under torchrun the others would wait for it on their GPUs; each tries its own."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(click.BadParameter, match="cuda can't be used"):
        chosen_device("auto")
    assert full == ["cuda:1"]


@pytest.mark.parametrize("name", ["meta", "xpu"])
def test_a_device_that_computes_nothing_here_is_refused(name: str) -> None:
    with pytest.raises(click.BadParameter, match=f"{name} can't be used"):
        chosen_device(name)


def test_a_gpu_that_is_used_is_one_that_can_be(
    full: List[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(torch, "zeros", lambda *size, **how: torch.ones(*size))
    assert chosen_device("auto") == chosen_device("cuda") == "cuda"
    assert capsys.readouterr().err == ""


def test_a_domain_without_room_keeps_no_other_from_being_adapted(
    bot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapt = onboarding.adapt_at_once

    def short_of_memory(store: Any, tracker: Any, domain: str, **how: Any) -> Any:
        if domain == "TableBooking_1":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return adapt(store, tracker, domain, **how)

    monkeypatch.setattr(onboarding, "adapt_at_once", short_of_memory)
    checkpoint = ("--checkpoint", bot / "tracker", "--device", "cpu")
    done = invoke("adapt", "--all", "--no-replies", *checkpoint)
    assert done.code == 2
    told = "TableBooking_1: cpu has too little free memory; free it, or use --device cpu"
    assert done.err == f"rasa-onramp: {told}\n"
    assert done.out.startswith("TableBooking_2: version 1 ")


def test_that_the_cpu_is_taken_instead_is_said_once(bot: Path, full: List[str]) -> None:
    checkpoint = ("--checkpoint", bot / "tracker")
    few = ("--shots", "1", "--seeds", "1", "--limit", "1", "--method", "zero-shot")
    for command in (
        ("adapt", "--all", "--no-replies"),
        ("worker", "--once", "--no-replies"),
        ("evaluate", "--data", bot / "data", *few),
    ):
        done = invoke(*command, *checkpoint)
        assert (done.code, done.err.count("computing on the CPU")) == (0, 1), done.err


def test_a_gpu_that_fills_up_is_one_line(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*any: object, **thing: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(evaluate_states, "evaluate", out_of_memory)
    few = ("--shots", "1", "--seeds", "1", "--limit", "1", "--method", "zero-shot")
    done = invoke("evaluate", "--data", bot / "data", *few, "--checkpoint", bot / "tracker")
    assert done.code == 2
    told = "the GPU has no memory left; free some, or try --device cpu"
    assert done.err == f"rasa-onramp: {told}\n"
