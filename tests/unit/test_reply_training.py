"""Both stages of the reply model's training, fine-tuning and adapting, on a tiny one."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence

import numpy
import pytest
import torch
from torch import Tensor

from interrupted import Killed
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed, pack
from rasa_onramp.generator.prompt import Exchange
from rasa_onramp.metalearning.algorithms import ALGORITHMS
from rasa_onramp.metalearning.inner_loop import (
    InnerLoop,
    adapt,
    differentiable_steps,
    initial_rates,
)
from rasa_onramp.metalearning.lora import Adapter
from rasa_onramp.metalearning.meta_gradient import Practice, meta_loss
from rasa_onramp.metalearning.reply_episodes import ReplyEpisode
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning, finetune_replies
from rasa_onramp.metalearning.reply_multitask import ReplyMultitaskConfig, pretrain_replies
from rasa_onramp.metalearning.reply_training import (
    ReplyAdaptation,
    ReplyMetaConfig,
    adapt_replies,
    inner_batches,
    meta_train_replies,
    query_losses,
)
from rasa_onramp.metalearning.runs import Run
from tiny_replies import SCHEMA, random_updates, shared_tokens, tiny_model

pytest.importorskip("transformers")


def talk(*replies: str, said: bool = True) -> Packed:
    """A short conversation."""
    asked = [
        Exchange(f"User: what {number}\nFacts: track\nBot:", reply, said)
        for number, reply in enumerate(replies)
    ]
    return pack(shared_tokens(), SCHEMA, asked)


SUPPORT = (
    talk("What is the tracking number?", "Goodbye!"),
    talk("Parcel {tracking_number} is {status}."),
    talk("Sorry, I can't find {tracking_number}."),
    talk("So that is {delivery_day}. Is that right?"),
)
QUERY = (talk("What is the tracking number?"), talk("There is also {shop}.", "Goodbye!"))
SILENT = talk("How about Tuesday?", said=False)
EPISODES = [
    ReplyEpisode("one", SUPPORT[:2], QUERY[:1]),
    ReplyEpisode("two", (*SUPPORT[2:], SILENT), QUERY[1:]),
    ReplyEpisode("bare", (), QUERY[:1]),
    ReplyEpisode("silent", (SILENT,), (SILENT,)),
]
STAGE_ONE = ReplyMultitaskConfig(
    steps=12, rank=4, learned_a_batch=40, rate=1e-2, warmup=2, save_every=4
)
STAGE_TWO = ReplyMetaConfig(
    steps=3, inner_steps=2, inner_rate=5e-3, weights_outer_rate=1e-3, save_every=1
)


def run(folder: Path, kind: Callable[..., Run] = Run) -> Run:
    return kind(folder, tensorboard=False)


def copied(values: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in values.items()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> List[str]:
    assert set(before) == set(after)
    return [name for name in after if not torch.equal(before[name], after[name])]


def loss_of(model: ReplyModel, sequences: Sequence[Packed], weights=None) -> float:
    with torch.no_grad():
        return model.loss(sequences, weights).item()


def logged(folder: Path, key: str) -> Dict[int, float]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["step"]: row[key] for row in map(json.loads, lines)}


# -- stage one -----------------------------------------------------------------------------------


def stage_one(folder: Path, episodes=EPISODES, kind=Run, **changes) -> ReplyModel:
    model = tiny_model()
    config = replace(STAGE_ONE, **changes)
    pretrain_replies(model, episodes, config, run(folder, kind), progress=False)
    return model


def test_pretraining_learns(tmp_path: Path) -> None:
    model = stage_one(tmp_path)
    start = model.initial_weights(4)
    assert changed(start, model.weights) == list(start)
    assert not any(value.requires_grad for value in model.weights.values())
    assert loss_of(model, SUPPORT + QUERY) < 0.9 * loss_of(model, SUPPORT + QUERY, start)
    told = logged(tmp_path, "loss")
    assert list(told) == list(range(1, 13)) and told[12] < told[1]
    assert json.loads((tmp_path / "config.json").read_text())["learned_a_batch"] == 40


def test_pretraining_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one, two = (stage_one(tmp_path / name, steps=3) for name in "12")
    other = stage_one(tmp_path / "3", steps=3, seed=1)
    assert changed(one.weights, two.weights) == []
    assert changed(one.weights, other.weights)


def test_pretraining_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """With one dialogue, whose order can't be another, as if it had never stopped."""
    alone = [ReplyEpisode("one", (), QUERY[1:])]
    how = {"steps": 5, "save_every": 2, "learned_a_batch": 1}
    through = stage_one(tmp_path / "through", alone, **how)
    with pytest.raises(KeyboardInterrupt):
        stage_one(tmp_path / "killed", alone, Killed, **how)
    resumed = stage_one(tmp_path / "killed", alone, **how)
    assert changed(through.weights, resumed.weights) == []
    assert logged(tmp_path / "killed", "loss") == logged(tmp_path / "through", "loss")
    again = stage_one(tmp_path / "killed", alone, **how)  # nothing is left to do
    assert changed(resumed.weights, again.weights) == []


def test_pretraining_refuses_a_run_of_another_shape(tmp_path: Path) -> None:
    stage_one(tmp_path, steps=1)
    with pytest.raises(CheckpointError, match="is of another model"):
        stage_one(tmp_path, steps=2, rank=3)


def test_minutes_end_a_run(tmp_path: Path) -> None:
    stage_one(tmp_path, minutes=1e-9)
    assert list(logged(tmp_path, "loss")) == [1]
    assert (tmp_path / "state.safetensors").is_file()
    stage_one(tmp_path, minutes=1e-9)  # over: not begun again
    assert list(logged(tmp_path, "loss")) == [1]


def test_pretraining_without_a_number_is_given_up(tmp_path: Path) -> None:
    model = tiny_model()
    model.weights = random_updates(model)
    next(iter(model.weights.values()))[0] = float("nan")
    with pytest.raises(ConfigError, match=r"NaN .* at step 10, .*smaller learning rates"):
        pretrain_replies(model, EPISODES, STAGE_ONE, run(tmp_path), progress=False)


# -- stage two -----------------------------------------------------------------------------------


def ready(**card) -> ReplyModel:
    """A model that can adapt."""
    model = tiny_model()
    model.weights = random_updates(model)
    model.rates = initial_rates(model.weights, 4, lora=1e-2, heads=0)
    model.card["adaptation"] = {
        "steps": 4, "dialogues_a_step": 2, "optimiser": "adam", **card
    }  # fmt: skip
    return model


def stage_two(folder: Path, episodes=EPISODES, kind=Run, **changes) -> ReplyModel:
    model = tiny_model()
    model.weights = random_updates(model)
    config = replace(STAGE_TWO, **changes)
    meta_train_replies(model, episodes, config, run(folder, kind), progress=False)
    return model


@pytest.mark.parametrize("order", [1, 2])
def test_meta_gradients_are_those_of_hand_written_autograd(order: int) -> None:
    model = tiny_model()
    start = {k: v.double() for k, v in random_updates(model, rank=1).items()}
    model.model.double()
    rates = {name: torch.tensor([0.5, 0.25], dtype=torch.float64) for name in start}

    def loss(weights: Mapping[str, Tensor], step: int) -> Tensor:
        return model.loss([SUPPORT[step]], weights)

    by_hand, alpha = (
        {k: v.clone().requires_grad_(True) for k, v in values.items()} for values in (start, rates)
    )
    fast = dict(by_hand)
    for step in range(2):
        gradients = torch.autograd.grad(
            loss(fast, step), list(fast.values()), create_graph=order == 2
        )
        fast = {k: v - alpha[k][step] * g for (k, v), g in zip(list(fast.items()), gradients)}
    model.loss(QUERY, fast).backward()

    adapter = Adapter(start)
    learned = {k: v.clone().requires_grad_(True) for k, v in rates.items()}
    *_, found = differentiable_steps(adapter, loss, learned, InnerLoop(2, order, "sgd"))
    model.loss(QUERY, found).backward()
    for name, parameter in zip(adapter.names, adapter.parameters()):
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
        torch.testing.assert_close(parameter.grad, by_hand[name].grad, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(learned[name].grad, alpha[name].grad, rtol=1e-3, atol=1e-6)
    assert all(p.grad is None for p in model.model.parameters())


#: All but ANIL, which adapts heads only.
NAMES = [name for name, each in ALGORITHMS.items() if each.adapts(".lora_A.weight")]


@pytest.mark.parametrize("name", NAMES)
def test_meta_training_moves_weights_and_rates(name: str, tmp_path: Path) -> None:
    model = stage_two(tmp_path, EPISODES[:1], algorithm=name, steps=1, episodes_a_step=1)
    start = random_updates(model)
    rates = initial_rates(start, 2, lora=5e-3, heads=0)
    assert changed(start, model.weights) == list(start)
    moved = [k for k, v in model.rates.items() if not torch.allclose(v, rates[k], rtol=1e-3)]
    assert moved == (list(rates) if ALGORITHMS[name].learn_rates else [])
    assert all((value > 0).all() for value in model.rates.values())
    assert not any(v.requires_grad for v in (*model.weights.values(), *model.rates.values()))
    assert ReplyAdaptation.of(model) == ReplyAdaptation(2, 1, "adam")
    assert changed(model.weights, adapt_replies(model, SUPPORT)) == list(start)


@pytest.mark.parametrize("name", NAMES)
def test_meta_training_learns_to_adapt(name: str, tmp_path: Path) -> None:
    def after_adapting(model: ReplyModel) -> float:
        return loss_of(model, QUERY[:1], adapt_replies(model, SUPPORT[:2]))

    how = {"algorithm": name, "weights_outer_rate": 1e-2}
    short, longer = (
        stage_two(tmp_path / str(steps), EPISODES[:1], steps=steps, **how) for steps in (1, 8)
    )
    assert after_adapting(longer) < after_adapting(short)
    losses = logged(tmp_path / "8", "inner loss" if name == "reptile" else "query loss")
    assert losses[8] < losses[1]


@pytest.mark.parametrize("name", NAMES)
def test_meta_training_goes_on_where_it_was_killed(name: str, tmp_path: Path) -> None:
    """With an episode that can be read in one way only, as if it had never stopped."""
    support = () if name == "reptile" else SUPPORT[:1]  # Reptile reads the query anyway
    alone = [ReplyEpisode("one", support, QUERY[:1])]
    how = {"algorithm": name, "steps": 4, "save_every": 2}
    through = stage_two(tmp_path / "through", alone, **how)
    with pytest.raises(KeyboardInterrupt):
        stage_two(tmp_path / "killed", alone, Killed, **how)
    resumed = stage_two(tmp_path / "killed", alone, **how)
    assert changed(through.weights, resumed.weights) == []
    assert changed(through.rates, resumed.rates) == []


def test_reptile_steps_to_where_support_and_query_lead_as_one_set(tmp_path: Path) -> None:
    how = {"algorithm": "reptile", "steps": 1, "dialogues_a_step": 3}
    model = stage_two(tmp_path, EPISODES[:1], **how)
    start = random_updates(model)
    adapted = adapt(
        start,
        lambda weights, step: model.loss((*SUPPORT[:2], *QUERY[:1]), weights),
        initial_rates(start, 2, lora=STAGE_TWO.inner_rate, heads=0),
        InnerLoop(2, 1, "adam"),
    )
    for name, value in model.weights.items():
        slope = start[name] - adapted[name]
        sure = slope.abs() > 1e-4  # elsewhere rounding decides
        assert sure.float().mean() > 0.9
        step = -STAGE_TWO.weights_outer_rate * slope.sign()
        torch.testing.assert_close((value - start[name])[sure], step[sure], rtol=1e-2, atol=0)


def test_meta_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    stopped = stage_two(tmp_path, steps=2)
    resumed = stage_two(tmp_path, steps=2)
    assert changed(stopped.weights, resumed.weights) == []
    assert changed(stopped.rates, resumed.rates) == []
    further = stage_two(tmp_path, steps=3)
    assert list(logged(tmp_path, "query loss")) == [1, 2, 3]
    assert changed(stopped.weights, further.weights) and changed(stopped.rates, further.rates)
    with pytest.raises(CheckpointError, match="is of another model"):
        stage_two(tmp_path, steps=4, inner_steps=3)


def test_meta_training_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one, two = (stage_two(tmp_path / name, steps=2) for name in "12")
    other = stage_two(tmp_path / "3", steps=2, seed=4)
    assert changed(one.weights, two.weights) == changed(one.rates, two.rates) == []
    assert changed(one.weights, other.weights)


def test_episodes_with_nothing_to_learn_teach_nothing(tmp_path: Path) -> None:
    model = stage_two(tmp_path / "silent", EPISODES[3:], steps=2)
    assert changed(random_updates(model), model.weights) == []
    # without support, the initialisation itself is judged
    bare = stage_two(tmp_path / "bare", EPISODES[2:3], steps=1)
    assert changed(random_updates(bare), bare.weights) == list(bare.weights)


def test_meta_training_needs_weights_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="take the multi-task stage first"):
        meta_train_replies(tiny_model(), EPISODES, STAGE_TWO, run(tmp_path), progress=False)


# -- adapting ------------------------------------------------------------------------------------


def test_adapting_learns_the_support_and_leaves_the_model() -> None:
    model = ready()
    before, told = copied(model.weights), []
    weights = adapt_replies(model, SUPPORT, after_step=lambda step, loss: told.append((step, loss)))
    assert changed(before, model.weights) == []
    assert changed(before, weights) == list(before)
    assert not any(value.requires_grad for value in weights.values())
    assert loss_of(model, SUPPORT, weights) < 0.95 * loss_of(model, SUPPORT)
    assert [step for step, _ in told] == [0, 1, 2, 3]
    first = inner_batches(SUPPORT, 4, 2, random.Random(0))[0]
    assert told[0][1] == pytest.approx(loss_of(model, first), rel=1e-5)


def test_adapting_is_the_same_for_the_same_seed() -> None:
    model = ready()
    one = adapt_replies(model, SUPPORT, seed=1)
    assert changed(one, adapt_replies(model, SUPPORT, seed=1)) == []
    assert any(changed(one, adapt_replies(model, SUPPORT, seed=seed)) for seed in (2, 3))


@pytest.mark.parametrize(
    ("scales", "times"),
    [({}, 1), ({"rate_scale": 3}, 3), ({"rate_scale": 2.0, "repeating_rate_scale": 3.0}, 6)],
)
def test_one_plain_step_is_the_rate_times_the_gradient(
    monkeypatch: pytest.MonkeyPatch, scales: Dict[str, float], times: float
) -> None:
    monkeypatch.setattr("rasa_onramp.metalearning.reply_training.pace", lambda said, scale: scale)
    model = ready(steps=1, optimiser="sgd", dialogues_a_step=9, **scales)
    weights = {k: v.clone().requires_grad_(True) for k, v in model.weights.items()}
    model.loss(SUPPORT, weights).backward()
    for name, value in adapt_replies(model, SUPPORT).items():
        wanted = model.weights[name] - 1e-2 * times * weights[name].grad
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-6)


def test_nothing_to_learn_from_is_the_initialisation() -> None:
    model = ready()
    for support in ((), (SILENT,)):
        assert changed(model.weights, adapt_replies(model, support)) == []


def test_a_model_without_rates_cannot_adapt() -> None:
    no_rates, no_card = ready(), ready()
    no_rates.rates = {}
    no_card.card = {}
    for model in (no_rates, no_card):
        with pytest.raises(CheckpointError, match="never meta-trained") as caught:
            adapt_replies(model, SUPPORT)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("steps", 0), ("steps", None), ("dialogues_a_step", "two")),
        *(("optimiser", "adamw"), ("optimiser", [])),
        *(("rate_scale", 0), ("rate_scale", "3"), ("repeating_rate_scale", None)),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, value: object) -> None:
    model = ready()
    model.card = {"adaptation": {**model.card["adaptation"], name: value}}
    with pytest.raises(CheckpointError, match=f"replies.json, card.adaptation: {name} is "):
        adapt_replies(model, SUPPORT)


def test_a_recommended_setting_that_there_is_none_of_is_told() -> None:
    with pytest.raises(CheckpointError, match=r"^replies\.json: .* 'repeating_rate_scal'; take"):
        adapt_replies(ready(repeating_rate_scal=3), SUPPORT)


@pytest.mark.parametrize("recommended", [[], "ten steps", 10])
def test_a_recommendation_that_is_none_is_told(recommended: object) -> None:
    model = ready()
    model.card = {"adaptation": recommended}
    with pytest.raises(CheckpointError, match=r"replies\.json: card\.adaptation is .*; give sett"):
        adapt_replies(model, SUPPORT)


def numbers(batches: List[List[Packed]]) -> List[List[int]]:
    def number(one: Packed) -> int:
        return next(n for n, s in enumerate((*SUPPORT, SILENT)) if s is one)

    return [[number(one) for one in batch] for batch in batches]


def test_inner_steps_go_round_the_support() -> None:
    rng = random.Random(3)
    steps = numbers(inner_batches((*SUPPORT, SILENT), 4, 2, rng))
    assert [len(step) for step in steps] == [2] * 4
    assert sorted(steps[0] + steps[1]) == sorted(steps[2] + steps[3]) == [0, 1, 2, 3]
    assert numbers(inner_batches(SUPPORT[:1], 3, 2, rng)) == [[0]] * 3
    for step in numbers(inner_batches(SUPPORT[:3], 20, 2, rng)):
        assert len(set(step)) == 2
    assert inner_batches((SILENT,), 3, 2, rng) == inner_batches(SUPPORT, 0, 2, rng) == []


# -- fine-tuning, the baseline -------------------------------------------------------------------


def test_fine_tuning_learns_and_leaves_the_model() -> None:
    model = ready()
    before = copied(model.weights)
    how = ReplyFineTuning(rate=1e-2, epochs=2)
    weights = finetune_replies(model, (*SUPPORT, SILENT), how)
    assert changed(before, model.weights) == []
    assert loss_of(model, SUPPORT, weights) < 0.95 * loss_of(model, SUPPORT)
    assert changed(weights, finetune_replies(model, (*SUPPORT, SILENT), how)) == []
    assert changed(weights, finetune_replies(model, SUPPORT, replace(how, seed=1)))


def test_fine_tuning_on_nothing_is_the_model_as_it_is() -> None:
    model = ready()
    for support in ((), (SILENT,)):
        assert changed(model.weights, finetune_replies(model, support)) == []


def test_marks_are_what_is_learned() -> None:
    """The batch's figures above count on this."""
    assert [int(s.learned.sum()) > 0 for s in (*SUPPORT, *QUERY)] == [True] * 6
    assert not numpy.any(SILENT.learned)


def test_the_query_loss_is_taken_a_sequence_at_a_time() -> None:
    """Value and gradient are those of all sequences at once."""
    model = tiny_model()
    start = random_updates(model)
    sequences = [*(s for e in EPISODES[:2] for s in e.query), SILENT]
    weights = {name: value.clone().requires_grad_() for name, value in start.items()}
    wanted = model.loss(sequences, weights)
    wanted.backward()
    adapter, practice = Adapter(start), Practice(None, query_losses(model, sequences))
    how = InnerLoop(2, 1, "adam")
    found = meta_loss(ALGORITHMS["fomaml"], practice, adapter, [], {}, how, 0.0)
    found.backward()
    assert len(practice.query) == len(sequences) - 1
    torch.testing.assert_close(found.detach(), wanted.detach(), rtol=1e-3, atol=1e-5)
    for name, parameter in zip(adapter.names, adapter.parameters()):
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=1e-3, atol=1e-5)
