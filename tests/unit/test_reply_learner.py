"""Adapting replies to a domain, and what happens where a GPU has no memory left."""

from __future__ import annotations

import logging
from typing import Any, Optional

import pytest
import torch

from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator import checkpoint
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.metalearning.precision import learning_attention
from rasa_onramp.onboarding import ReplyLearner
from rasa_onramp.onboarding import replies as learning
from tiny_replies import SCHEMA, SUPPORT, embed, tiny_model

pytest.importorskip("transformers")


@pytest.fixture
def learner() -> ReplyLearner:
    model = tiny_model()
    model.weights = model.initial_weights(2)
    model.rates = {name: torch.full((3,), 0.05) for name in model.weights}
    model.card["adaptation"] = {"steps": 3, "dialogues_a_step": 1, "optimiser": "adam"}
    return ReplyLearner(model, embed)


def test_held_out_replies_are_foreseen_better_afterwards(learner: ReplyLearner) -> None:
    found = learner.adapt(SCHEMA, SUPPORT, SUPPORT)
    assert found.before is not None and found.after is not None
    assert found.after < found.before
    again = learner.adapt(SCHEMA, SUPPORT, SUPPORT)
    assert (again.weights, again.after) == (found.weights, found.after)


@pytest.mark.parametrize("steps", ["ten", None, 2.5, 0])
def test_steps_that_cannot_be_are_told_by_adapting(learner: ReplyLearner, steps: object) -> None:
    learner.model.card["adaptation"]["steps"] = steps
    assert learner.steps == 0
    with pytest.raises(CheckpointError, match=r"replies\.json, card\.adaptation: steps is "):
        learner.adapt(SCHEMA, SUPPORT, ())


@pytest.mark.parametrize("recommended", [None, [], "ten steps"])
def test_a_recommendation_that_is_none_has_no_steps(
    learner: ReplyLearner, recommended: object
) -> None:
    learner.model.card["adaptation"] = recommended
    assert learner.steps == 0
    with pytest.raises(CheckpointError):
        learner.adapt(SCHEMA, SUPPORT, ())


def test_what_was_voted_down_is_not_learned(learner: ReplyLearner) -> None:
    said = [reply.template.text for reply in support_replies(SCHEMA, SUPPORT)]
    usual = learner.adapt(SCHEMA, SUPPORT, ()).weights
    assert learner.adapt(SCHEMA, SUPPORT, (), blocked=["Never said."]).weights == usual
    assert learner.adapt(SCHEMA, SUPPORT, (), blocked=said[:1]).weights != usual
    nothing = learner.adapt(SCHEMA, SUPPORT, (), blocked=said)
    assert nothing.weights == adapter_to_bytes(learner.model.weights)


def test_nothing_is_measured_without_held_out_replies(learner: ReplyLearner) -> None:
    found = learner.adapt(SCHEMA, SUPPORT, ())
    assert (found.before, found.after) == (None, None)


def test_a_gpu_without_memory_leaves_the_adapting_to_the_cpu(
    learner: ReplyLearner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The machines that run the tests have no GPU, so the fault is injected."""
    whole = learner.adapt(SCHEMA, SUPPORT, ())
    learner.model.attend("sdpa")  # as is best on a GPU
    device, adapt = torch.device("cuda"), learning.adapt_replies
    moved = []

    def short_of_memory(model: ReplyModel, *rest: Any, **named: Any) -> Any:
        if not moved:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return adapt(model, *rest, **named)

    monkeypatch.setattr(learning, "adapt_replies", short_of_memory)
    monkeypatch.setattr(
        ReplyModel, "device", property(lambda self: torch.device("cpu") if moved else device)
    )
    monkeypatch.setattr(ReplyModel, "to", lambda self, where: moved.append(where))
    with caplog.at_level(logging.WARNING):
        found = learner.adapt(SCHEMA, SUPPORT, ())
    assert (moved, found.weights) == (["cpu"], whole.weights)
    assert learner.model.model.config._attn_implementation == learning_attention("cpu")
    assert "cuda has too little free memory; adapting replies on the CPU" in caplog.text


def test_a_cpu_without_memory_has_nowhere_to_go(
    learner: ReplyLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short_of_memory(*rest: Any, **named: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(learning, "adapt_replies", short_of_memory)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        learner.adapt(SCHEMA, SUPPORT, ())


def test_a_model_moves_with_all_it_has(learner: ReplyLearner) -> None:
    model = learner.model
    model.to("meta")
    tensors = [*model.weights.values(), *model.rates.values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"} == {model.device.type}


def test_a_gpu_without_room_for_the_model_leaves_it_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, told, tried = tiny_model(), [], []

    def load(folder: Optional[str], *, device: str, attention: str) -> ReplyModel:
        tried.append((device, attention))
        if device != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return model

    monkeypatch.setattr(checkpoint, "load_replies", load)
    learns = learning_attention
    assert checkpoint.available_replies(told.append, device="cuda", attention=learns) is model
    assert tried == [("cuda", "sdpa"), ("cpu", "eager")]
    assert told == ["replies are written on the CPU: cuda can't be used (CUDA out of memory)"]
    own = checkpoint.chosen_replies(told.append, "our own", device="cuda", attention=learns)
    assert own is model
    assert tried[2:] == tried[:2]
