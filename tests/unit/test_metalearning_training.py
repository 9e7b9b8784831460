"""Both stages of training, fine-tuning and adapting, on a tiny tracker and corpus."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import pytest
import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Slot
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support, inner_batches
from rasa_onramp.metalearning.algorithms import ALGORITHMS, algorithm
from rasa_onramp.metalearning.corpus import Task, tasks_of
from rasa_onramp.metalearning.course import Course
from rasa_onramp.metalearning.examples import check_schemas, group_of
from rasa_onramp.metalearning.finetuning import FineTuning, finetune, support_groups
from rasa_onramp.metalearning.lora import adapter_from_bytes, adapter_to_bytes
from rasa_onramp.metalearning.multitask import MultitaskConfig, pretrain
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.metalearning.parallel import ALONE
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import MetaConfig, meta_train
from rasa_onramp.tracker.batch import collate, collate_labels
from rasa_onramp.tracker.loss import tracking_loss
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.roles import Role
from tiny_tracker import CAFE, CONFIG, bookings, corpus, examples_of, in_one_pass, tiny_tracker

TASKS = tasks_of(corpus(services=2, dialogues=8))
STAGE_ONE = MultitaskConfig(
    steps=12, tokens_a_batch=600, warmup=2, encoder_rate=3e-3, heads_rate=3e-3, save_every=4
)
STAGE_TWO = MetaConfig(
    steps=4,
    inner_steps=2,
    rank=2,
    shots={0: 1.0, 2: 2.0},
    queries=2,
    episodes_a_step=2,
    lora_rate=5e-3,
    heads_rate=5e-3,
    encoder_outer_rate=2e-3,
    weights_outer_rate=2e-3,
    save_every=2,
)


def everything(tracker: StateTracker) -> Dict[str, Tensor]:
    """All tensors of a tracker, copied."""
    found = {f"encoder/{k}": v for k, v in tracker.encoder.state_dict().items()}
    found.update({f"weights/{k}": v for k, v in tracker.weights.items()})
    found.update({f"rates/{k}": v for k, v in tracker.rates.items()})
    return {name: value.detach().clone() for name, value in found.items()}


def changed(before: Dict[str, Tensor], after: Dict[str, Tensor]) -> List[str]:
    return [name for name in after if name in before and not torch.equal(before[name], after[name])]


def loss_of(tracker: StateTracker, weights=None, count: int = 4) -> float:
    """The loss on a few dialogues of the corpus as they are."""
    return loss_on(tracker, bookings(count), weights)


def loss_on(tracker: StateTracker, dialogues: Sequence[Dialogue], weights=None) -> float:
    group = group_of(tracker.tokens, CAFE, dialogues, random.Random(0))
    assert group is not None
    with torch.no_grad():
        return group_loss(tracker, group, weights).item()


def logged(folder: Path, key: str) -> Dict[int, float]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["step"]: row[key] for row in rows if key in row}


def stage_one(folder: Path, seed: int = 0, **changes) -> StateTracker:
    tracker = tiny_tracker(seed=0)
    config = replace(STAGE_ONE, seed=seed, **changes)
    pretrain(tracker, TASKS, config, Run(folder, tensorboard=False), progress=False)
    return tracker


def stage_two(folder: Path, seed: int = 0, **changes) -> StateTracker:
    tracker = tiny_tracker(seed=0)
    config = replace(STAGE_TWO, seed=seed, **changes)
    meta_train(tracker, TASKS, config, Run(folder, tensorboard=False), progress=False)
    return tracker


def test_a_shared_schema_changes_neither_loss_nor_gradient() -> None:
    tracker = tiny_tracker(seed=1, rank=2)
    dialogues = [replace(d, turns=d.turns[: 2 * n + 1]) for n, d in enumerate(bookings(3))]
    group = group_of(tracker.tokens, CAFE, dialogues, random.Random(0), tokens_a_part=100)
    assert group is not None and len(group.parts) > 1
    examples = [
        e for d in dialogues for e in examples_of(tracker.tokens, CAFE, d, random.Random(0))
    ]
    prompts = [prompt for prompt, _ in examples]
    batch = collate(prompts)
    labels = collate_labels(prompts, [targets for _, targets in examples], batch.ids.shape[1])
    weights = {k: v.clone().requires_grad_(True) for k, v in tracker.weights.items()}
    losses = (
        group_loss(tracker, group, weights),
        group_loss(tracker, group, weights, math_attention=True),
        tracking_loss(in_one_pass(tracker, batch, weights), labels),
    )
    found = [torch.autograd.grad(loss, list(weights.values())) for loss in losses]
    torch.testing.assert_close(losses[1], losses[2], rtol=3e-2, atol=0)
    torch.testing.assert_close(losses[0], losses[1], rtol=3e-2, atol=0)
    for gradient, plain, whole in zip(*found):
        scale = max(float(whole.abs().max()), 1e-2)  # what is less is rounding alone
        assert float((gradient - whole).abs().max()) < 0.1 * scale
        assert float((plain - whole).abs().max()) < 0.1 * scale


def test_pretraining_learns_and_keeps_word_embeddings(tmp_path: Path) -> None:
    before = everything(tiny_tracker(seed=0))
    tracker = stage_one(tmp_path)
    assert loss_of(tracker) < 0.7 * loss_of(tiny_tracker(seed=0))
    moved = changed(before, everything(tracker))
    words = "encoder/embeddings.word_embeddings.weight"
    assert words not in moved
    # segment embeddings are one row of two; the rest moves whole
    assert set(before) - set(moved) <= {words}
    assert logged(tmp_path, "loss").keys() == {10}


def test_pretraining_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one = everything(stage_one(tmp_path / "1", steps=4))
    two = everything(stage_one(tmp_path / "2", steps=4))
    other = everything(stage_one(tmp_path / "3", steps=4, seed=1))
    assert changed(one, two) == []
    assert changed(one, other)


def test_pretraining_goes_on_where_it_stopped(tmp_path: Path) -> None:
    stopped = stage_one(tmp_path, steps=4)
    resumed = stage_one(tmp_path, steps=4)  # nothing is left to do but to read the state
    assert changed(everything(stopped), everything(resumed)) == []
    longer = stage_one(tmp_path, steps=10)
    assert loss_of(longer) < loss_of(stopped)
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 10


def test_the_speed_is_of_what_was_trained_since_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage_one(tmp_path, steps=4)
    monkeypatch.setattr(Run, "elapsed", lambda self: 1e6)  # seconds, before it was stopped
    stage_one(tmp_path, steps=10)
    (*_, last) = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    told = json.loads(last)
    assert told["step"] == 10 and told["turns/s"] > 0.01


def test_pretraining_ends_when_its_minutes_are_used_up(tmp_path: Path) -> None:
    stage_one(tmp_path, steps=100_000, minutes=1e-6)
    kept = tiny_tracker(seed=0)
    parameters = {f"weights/{k}": v for k, v in kept.weights.items()}
    assert Run(tmp_path, tensorboard=False).resume(parameters) == 1


def test_pretraining_that_ended_by_minutes_isnt_done_again(tmp_path: Path) -> None:
    ended = everything(stage_one(tmp_path, steps=100_000, minutes=1e-6))
    state = (tmp_path / "state.safetensors").read_bytes()
    assert changed(ended, everything(stage_one(tmp_path, steps=100_000, minutes=1e-6))) == []
    assert (tmp_path / "state.safetensors").read_bytes() == state
    longer = stage_one(tmp_path, steps=2, minutes=60)
    assert changed(ended, everything(longer))


def test_a_run_that_goes_on_has_used_the_minutes_before(tmp_path: Path) -> None:
    weight = {"w": torch.nn.Parameter(torch.zeros(1))}
    optimiser = torch.optim.Adam(weight.values())
    config = replace(STAGE_TWO, steps=100, minutes=2.0)
    Run(tmp_path, tensorboard=False).save(10, weight, optimiser, elapsed=90.0)
    run = Run(tmp_path, tensorboard=False)
    course = Course(weight, optimiser, config, {}, run, title="t", progress=False, workers=ALONE)
    assert (course.step, course.done, course.elapsed) == (10, 0.75, 90.0)
    course.advance()
    assert course.step == 11 and 90 <= course.elapsed < 100 and 0.75 <= course.done < 0.84


def test_pretraining_without_a_number_is_given_up(tmp_path: Path) -> None:
    tracker = tiny_tracker(seed=0)
    tracker.weights["requested.bias"] += float("nan")
    run = Run(tmp_path, tensorboard=False)
    before = everything(tracker)
    with pytest.raises(ConfigError, match=r"NaN .* at step 10, .*smaller learning rates"):
        pretrain(tracker, TASKS, STAGE_ONE, run, progress=False)
    assert changed(before, everything(tracker)) == ["weights/requested.bias"]  # NaN is never equal


def test_a_tracker_with_learned_rates_goes_on_from_them(tmp_path: Path) -> None:
    config = replace(STAGE_TWO, steps=1, shots={2: 1.0}, rates_outer_rate=1e-9)
    tracker = tiny_tracker(seed=0, rank=2, steps=2)
    tracker.rates = {name: torch.tensor([3e-4, 1e-4]) for name in tracker.weights}
    tracker.rates["flag.weight"] = torch.tensor([1.0])  # of another number of steps: begins anew
    meta_train(tracker, TASKS, config, Run(tmp_path, tensorboard=False), progress=False)
    fresh = torch.tensor([1.0, 0.2]) * config.heads_rate
    for name, rate in tracker.rates.items():
        wanted = fresh if name == "flag.weight" else torch.tensor([3e-4, 1e-4])
        torch.testing.assert_close(rate, wanted, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_trains_what_it_says(name: str, tmp_path: Path) -> None:
    method = algorithm(name)
    before = everything(tiny_tracker(seed=0, rank=2, steps=2))
    start = tiny_tracker(seed=0)
    tracker = tiny_tracker(seed=0)
    config = replace(STAGE_TWO, algorithm=name, steps=2, shots={2: 1.0})
    meta_train(tracker, TASKS, config, Run(tmp_path, tensorboard=False), progress=False)
    # what adapts has a rate a step; what doesn't is part of the initialisation all the same
    adapting = {name for name in tracker.weights if method.adapts(name)}
    assert set(tracker.rates) == adapting
    assert any(".lora_" in name for name in tracker.weights)
    assert {rate.shape for rate in tracker.rates.values()} == {(2,)}
    for weight, rate in tracker.rates.items():
        peak = config.lora_rate if ".lora_" in weight else config.heads_rate
        fresh = torch.tensor([1.0, 0.2]) * peak
        assert (rate > 0).all()
        if "_key.bias" in weight:  # the same for every token: its gradient is rounding alone
            continue
        assert torch.allclose(rate, fresh, rtol=1e-5) != method.learn_rates, weight
    after = everything(tracker)
    moved = set(changed(before, after)) | {
        f"weights/{n}" for n, v in tracker.weights.items() if ".lora_B" in n and v.abs().sum() > 0
    }
    for weight in tracker.weights:
        if ".lora_A" not in weight:  # its gradient is nothing as long as B is nothing
            assert f"weights/{weight}" in moved, weight
    # Reptile moves what takes inner steps, to where they lead
    encoder = [name for name in moved if name.startswith("encoder/")]
    assert bool(encoder) != method.pooled
    assert method.pooled or "encoder/encoder.layer.0.output.dense.weight" in encoder
    assert "encoder/embeddings.word_embeddings.weight" not in moved
    assert not any(v.requires_grad for v in (*tracker.weights.values(), *tracker.rates.values()))
    assert not any(p.requires_grad for p in tracker.encoder.parameters())
    assert set(start.weights) < set(tracker.weights)


def test_anil_adapts_the_heads_only() -> None:
    method = algorithm("anil")
    adapting = {name for name in tiny_tracker(seed=0, rank=2).weights if method.adapts(name)}
    assert adapting == {
        *("mention.weight", "requested.weight", "requested.bias"),
        *("start_query.weight", "start_query.bias", "start_key.weight", "start_key.bias"),
        *("end_query.weight", "end_query.bias", "end_key.weight", "end_key.bias"),
    }


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown algorithm 'maml2'; choose one of fomaml, maml"):
        algorithm("maml2")


@pytest.mark.parametrize(
    ("name", "steps", "share"), [("meta-sgd", 25, 0.8), ("maml++", 16, 0.9), ("reptile", 25, 0.8)]
)
def test_meta_training_learns_to_adapt(name: str, steps: int, share: float, tmp_path: Path) -> None:
    """After it, adapting to a support set lowers the loss on other dialogues further."""
    fresh = tiny_tracker(seed=0)
    tracker = stage_two(tmp_path, algorithm=name, steps=steps)
    assert loss_of(tracker) < share * loss_of(fresh)
    # not only is the start better: two dialogues make the others' loss smaller yet
    weights = adapt_to_support(tracker, CAFE, bookings(2), Adaptation.of(tracker))
    assert loss_on(tracker, bookings(6)[2:], weights) < loss_on(tracker, bookings(6)[2:])
    losses = list(logged(tmp_path, "inner loss" if name == "reptile" else "query loss").values())
    assert len(losses) == steps
    assert sum(losses[-5:]) < share * sum(losses[:5])


def test_reptile_has_one_set(tmp_path: Path) -> None:
    """Without support it adapts to the query all the same."""
    tracker = stage_two(tmp_path, algorithm="reptile", steps=1, shots={0: 1.0})
    assert changed(tiny_tracker(seed=0).weights, tracker.weights)


def test_meta_training_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one = everything(stage_two(tmp_path / "1", steps=2))
    two = everything(stage_two(tmp_path / "2", steps=2))
    other = everything(stage_two(tmp_path / "3", steps=2, seed=1))
    assert changed(one, two) == []
    assert changed(one, other)


@pytest.mark.parametrize("name", ["meta-sgd", "maml++", "reptile"])
def test_meta_training_goes_on_where_it_stopped(name: str, tmp_path: Path) -> None:
    settings: Dict[str, Any] = {"algorithm": name, "shots": {2: 1.0}}  # without support, no rates
    stopped = stage_two(tmp_path, steps=2, **settings)
    resumed = stage_two(tmp_path, steps=2, **settings)
    assert changed(everything(stopped), everything(resumed)) == []
    assert set(stopped.rates) == set(resumed.rates)
    further = stage_two(tmp_path, steps=3, **settings)
    assert list(logged(tmp_path, "minutes")) == [1, 2, 3]
    moved = changed(everything(stopped), everything(further))
    assert any(key.startswith("rates/") for key in moved) == algorithm(name).learn_rates
    assert any(key.startswith("weights/") for key in moved)


def test_meta_training_refuses_a_run_of_another_shape(tmp_path: Path) -> None:
    stage_two(tmp_path, steps=1)
    with pytest.raises(CheckpointError, match="is of another model"):
        stage_two(tmp_path, steps=2, rank=3)
    with pytest.raises(CheckpointError, match="is of another model"):
        stage_two(tmp_path, steps=2, inner_steps=3)


def test_meta_training_starts_from_a_pretrained_tracker(tmp_path: Path) -> None:
    tracker = stage_one(tmp_path / "one", steps=2)
    config = replace(STAGE_TWO, steps=1)
    meta_train(tracker, TASKS, config, Run(tmp_path / "two", tensorboard=False), progress=False)
    assert any(".lora_" in name for name in tracker.weights)
    again = replace(config, rank=7)  # what is there already keeps its rank
    meta_train(tracker, TASKS, again, Run(tmp_path / "three", tensorboard=False), progress=False)
    lora = next(v for k, v in tracker.weights.items() if k.endswith("lora_A.weight"))
    assert lora.shape[0] == 2


def test_emphasis_changes_what_is_practised(tmp_path: Path) -> None:
    one, two, alike = (
        everything(stage_two(tmp_path / name, steps=1, emphasis={left_out: 0.0}))
        for name, left_out in (
            ("1", "TableBooking_1"),
            ("2", "TableBooking_2"),
            ("3", "TableBooking_2"),
        )
    )
    assert changed(one, two) and not changed(two, alike)


@pytest.fixture(scope="module")
def ready() -> StateTracker:
    """A tracker that can adapt."""
    return tiny_tracker(seed=1, rank=2, steps=3)


def test_adapting_learns_the_support_and_leaves_the_tracker(ready: StateTracker) -> None:
    before = everything(ready)
    told: List = []
    support = bookings(4)
    weights = adapt_to_support(
        ready,
        CAFE,
        support,
        Adaptation(steps=6, seed=1),
        after_step=lambda step, loss: told.append((step, loss)),
    )
    assert changed(before, everything(ready)) == []
    assert set(weights) == set(ready.weights)
    assert loss_of(ready, weights) < 0.8 * loss_of(ready)
    assert [step for step, _ in told] == list(range(6))
    assert told[-1][1] < told[0][1]


def test_adapting_is_the_same_for_the_same_seed(ready: StateTracker) -> None:
    def adapted(**how) -> Dict[str, Tensor]:
        return adapt_to_support(ready, CAFE, bookings(4), Adaptation(steps=2, **how))

    one = adapted()
    assert changed(one, adapted()) == []
    for how in ({"seed": 5}, {"rate_scale": 0.5}, {"offers": True}, {"optimiser": "sgd"}):
        assert changed(one, adapted(**how)), how
    # half the rate, half the first step
    first = adapt_to_support(ready, CAFE, bookings(2), Adaptation(steps=1))
    half = adapt_to_support(ready, CAFE, bookings(2), Adaptation(steps=1, rate_scale=0.5))
    start = ready.weights["requested.bias"]
    torch.testing.assert_close(
        2 * (half["requested.bias"] - start), first["requested.bias"] - start
    )


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [(3, [4, 2, 1]), (5, [4, 3, 2, 1.5, 1]), (2, [4, 1]), (1, [4])],
)
def test_learned_rates_are_stretched_over_the_steps(
    ready: StateTracker, steps: int, wanted: List[float]
) -> None:
    """Plain gradient steps, so that each is its rate times a gradient of one dialogue's loss."""
    rate = torch.tensor([4.0, 2.0, 1.0]) * 1e-3
    tracker = replace(ready, rates={"requested.bias": rate})
    how = Adaptation(steps=steps, optimiser="sgd")
    ours = adapt_to_support(tracker, CAFE, bookings(1), how)["requested.bias"]
    bias = ready.weights["requested.bias"]
    for step, group in zip(wanted, inner_batches(ready, CAFE, bookings(1), how)):
        bias = bias.detach().requires_grad_(True)
        loss = group_loss(ready, group, {**ready.weights, "requested.bias": bias})
        (gradient,) = torch.autograd.grad(loss, bias)
        bias = bias - step * 1e-3 * gradient
    torch.testing.assert_close(ours, bias.detach(), rtol=1e-6, atol=1e-7)


def test_a_larger_support_takes_more_steps(ready: StateTracker) -> None:
    how = Adaptation(steps=3, epochs=2, dialogues_a_step=2)
    assert [how.for_support(size).steps for size in (0, 2, 3, 4, 5)] == [3, 3, 3, 4, 5]
    found = how.for_support(5)
    assert found == replace(how, steps=5, epochs=0) == found.for_support(50)
    told: List[int] = []
    adapt_to_support(ready, CAFE, bookings(4), how, after_step=lambda step, _: told.append(step))
    assert told == [0, 1, 2, 3]


def test_runs_on_other_readings_are_averaged(ready: StateTracker) -> None:
    told: List[int] = []
    how = Adaptation(steps=3, runs=2, noise=0.5)
    ours = adapt_to_support(
        ready, CAFE, bookings(3), how, after_step=lambda step, _: told.append(step)
    )
    assert told == list(range(how.all_steps)) == list(range(6))
    alone = [replace(how, runs=1, seed=seed) for seed in (0, 1_000_003)]
    first, second = (adapt_to_support(ready, CAFE, bookings(3), one) for one in alone)
    assert changed(first, second) != []
    for name, value in ours.items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2)


def test_weights_are_mixed_with_the_initialisation(ready: StateTracker) -> None:
    support, how = bookings(3), Adaptation(steps=3)
    whole = adapt_to_support(ready, CAFE, support, how)
    part = adapt_to_support(ready, CAFE, support, replace(how, mixing=0.75))
    for name, start in ready.weights.items():
        torch.testing.assert_close(part[name], start + 0.75 * (whole[name] - start))
    none = adapt_to_support(ready, CAFE, support, replace(how, mixing=0.0))
    assert changed(ready.weights, whole) and not changed(ready.weights, none)


def test_an_empty_support_is_zero_shot(ready: StateTracker) -> None:
    for support in ([], [Dialogue("empty", CAFE.name, ())]):
        weights = adapt_to_support(ready, CAFE, support, Adaptation())
        assert changed(ready.weights, weights) == []


def test_only_what_has_a_rate_adapts(ready: StateTracker) -> None:
    heads_only = replace(ready, rates={k: v for k, v in ready.rates.items() if ".lora_" not in k})
    weights = adapt_to_support(heads_only, CAFE, bookings(2), Adaptation(steps=2))
    moved = changed(ready.weights, weights)
    assert moved and not any(".lora_" in name for name in moved)


def test_a_tracker_without_rates_cannot_adapt() -> None:
    with pytest.raises(CheckpointError, match="never meta-trained") as caught:
        adapt_to_support(tiny_tracker(), CAFE, bookings(2), Adaptation())
    assert "\n" not in str(caught.value)
    # with nothing to adapt to it works from the schema alone
    assert adapt_to_support(tiny_tracker(), CAFE, [], Adaptation())


def test_the_checkpoint_recommends_how_to_adapt(ready: StateTracker) -> None:
    tracker = replace(ready, card={"adaptation": {"steps": 5, "optimiser": "sgd"}})
    assert Adaptation.of(tracker) == Adaptation(steps=5, optimiser="sgd")
    assert Adaptation.of(tracker, steps=9, seed=None, offers=True) == Adaptation(
        steps=9, optimiser="sgd", offers=True
    )
    assert Adaptation.of(ready) == Adaptation()
    more = replace(ready, card={"adaptation": {"steps": 5, "epochs": 6}})
    assert Adaptation.of(more, seed=1) == Adaptation(steps=5, epochs=6, seed=1)
    assert Adaptation.of(more, steps=2) == Adaptation(steps=2)  # whatever the support
    assert Adaptation.of(more, epochs=1) == Adaptation(steps=5, epochs=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 2.5),
        ("epochs", -1),
        ("epochs", float("inf")),
        ("epochs", "all"),
        ("runs", 0),
        ("dialogues_a_step", -1),
        ("history", 0),
        ("mixing", 1.5),
        ("noise", "much"),
        ("rate_scale", 0),
        ("optimiser", "adamw"),
        ("optimiser", []),
        ("adapts", "tail"),
        ("adapts", {}),
        ("offers", "yes"),
        ("learned_rates", None),
        ("seed", "one"),
        ("seed", None),
    ],
)
def test_settings_that_cannot_be_are_refused(ready: StateTracker, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"adaptation: {name} is "):
        Adaptation(**{name: value})
    tracker = replace(ready, card={"adaptation": {name: value}})
    with pytest.raises(CheckpointError, match=f"tracker.json, card.adaptation: {name} is .*; "):
        Adaptation.of(tracker)


def test_a_schema_too_long_to_be_read_is_found_before_training(ready: StateTracker) -> None:
    slots = tuple(Slot(f"slot_{number}", values=("a", "b", "c")) for number in range(90))
    other = replace(CAFE, name="Long_1", slots=slots)
    fine = Task(CAFE, (), bookings(1), ())
    check_schemas(ready.tokens, [fine])
    with pytest.raises(ConfigError, match="Long_1"):
        check_schemas(ready.tokens, [fine, replace(fine, variants=((other, None),))])


def test_a_stored_adapter_goes_where_the_tracker_is(ready: StateTracker) -> None:
    """Files are read on the CPU; what has no memory stands for a GPU."""
    adapter = adapter_from_bytes(adapter_to_bytes(ready.weights))
    placed = replace(ready, encoder=copy.deepcopy(ready.encoder).to("meta")).placed(adapter)
    assert placed is not None
    assert {value.device.type for value in placed.values()} == {"meta"}
    assert ready.placed(None) is None


def test_fine_tuning_takes_a_group_a_dialogue(ready: StateTracker) -> None:
    support = [*bookings(3), Dialogue("empty", CAFE.name, ())]
    found = support_groups(ready, CAFE, support, offers=True, seed=0)
    assert [len(group.parts) for group in found] == [1, 1, 1]
    assert all(said.offer.any() for group in found for said, _ in group.parts)
    plain = support_groups(ready, CAFE, support, offers=False, seed=0)
    assert not any(said.offer.any() for group in plain for said, _ in group.parts)


def test_support_dialogues_are_varied_anew_at_every_step(ready: StateTracker) -> None:
    def texts(**how: float) -> List[str]:
        steps = list(inner_batches(ready, CAFE, bookings(1), Adaptation(steps=12, **how)))
        assert [len(said) for group in steps for said, _ in group.parts] == [1] * 12
        said = [group.parts[0][0] for group in steps]
        return [str(batch.ids[batch.role == int(Role.TEXT)].tolist()) for batch in said]

    ((prompt, _),) = examples_of(ready.tokens, CAFE, bookings(1)[0], random.Random(0))
    as_written = str(prompt.ids[prompt.role == int(Role.TEXT)].tolist())
    assert set(texts(noise=0, new_values=0)) == {as_written}
    assert len(set(texts(noise=1, new_values=0))) >= 3
    assert len(set(texts(noise=0, new_values=1))) > 3
    assert texts() == texts()


def test_fine_tuning_learns_and_leaves_the_original() -> None:
    tracker = tiny_tracker(seed=2, rank=2)
    before = everything(tracker)
    groups = support_groups(tracker, CAFE, bookings(4), offers=False, seed=0)
    how = FineTuning(rate=3e-3, epochs=3)
    tuned = finetune(tracker, groups, how)
    assert changed(before, everything(tracker)) == []
    assert not any(p.requires_grad or p.grad is not None for p in tracker.encoder.parameters())
    assert loss_of(tuned) < 0.8 * loss_of(tracker)
    moved = changed(before, everything(tuned))
    assert "encoder/encoder.layer.1.output.dense.weight" in moved
    assert "encoder/embeddings.word_embeddings.weight" not in moved
    assert not any(p.requires_grad for p in tuned.encoder.parameters())
    assert not any(v.requires_grad for v in tuned.weights.values())
    assert changed(everything(tuned), everything(finetune(tracker, groups, how))) == []
    assert tuned.encoder.config == CONFIG


def test_fine_tuning_on_nothing_is_the_tracker_as_it_is() -> None:
    tracker = tiny_tracker(seed=2)
    assert changed(everything(tracker), everything(finetune(tracker, []))) == []


def test_fine_tuning_may_go_part_of_the_way() -> None:
    tracker = tiny_tracker(seed=2, rank=2)
    groups = support_groups(tracker, CAFE, bookings(2), offers=False, seed=0)
    whole, half, none = (
        everything(finetune(tracker, groups, FineTuning(rate=3e-3, epochs=1, mixing=share)))
        for share in (1.0, 0.5, 0.0)
    )
    start = everything(tracker)
    assert changed(start, none) == [] and changed(start, half) == changed(start, whole) != []
    for name, value in half.items():
        torch.testing.assert_close(value, (start[name] + whole[name]) / 2)


def test_a_results_file_says_how_was_fine_tuned() -> None:
    plain = {"rate": 1e-5, "epochs": 2, "dialogues_a_step": 1, "warmup": 0.1, "seed": 0}
    how = FineTuning(rate=1e-5, epochs=2)
    assert how.as_settings == plain
    assert replace(how, steps=4, mixing=0.75).as_settings == {**plain, "steps": 4, "mixing": 0.75}


def test_fine_tuning_for_so_many_steps() -> None:
    tracker = tiny_tracker(seed=2)
    groups = support_groups(tracker, CAFE, bookings(3), offers=False, seed=0)

    def tuned(**how: Any) -> Tuple[StateTracker, List[float]]:
        losses: List[float] = []
        done = finetune(
            tracker,
            groups,
            FineTuning(rate=3e-3, **how),
            after_step=lambda step, loss: losses.append(loss),
        )
        return done, losses

    # two rounds of three dialogues are six steps, and the same ones
    by_rounds, by_steps = tuned(epochs=2), tuned(steps=6)
    assert changed(everything(by_rounds[0]), everything(by_steps[0])) == []
    assert by_rounds[1] == by_steps[1] and len(by_steps[1]) == 6
    assert len(tuned(steps=4)[1]) == 4  # a round needn't be whole
    assert len(tuned(steps=4, dialogues_a_step=2)[1]) == 4
    assert by_steps[1][-1] < by_steps[1][0]


def test_fine_tuning_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that each step moves on by a second: steps begin at 0, 1 and 2, none at 3."""
    tracker = tiny_tracker(seed=2)
    groups = support_groups(tracker, CAFE, bookings(2), offers=False, seed=0)
    now = [100.0]
    monkeypatch.setattr("rasa_onramp.metalearning.finetuning.time.process_time", lambda: now[0])

    def steps_in(seconds: float) -> int:
        taken: List[int] = []

        def told(step: int, loss: float) -> None:
            taken.append(step)
            now[0] += 1.0

        finetune(tracker, groups, FineTuning(seconds=seconds), after_step=told)
        return len(taken)

    assert [steps_in(seconds) for seconds in (2.5, 3.0, 0.5, -1.0)] == [3, 3, 1, 1]


def test_fine_tuning_warms_up_and_falls_to_nothing() -> None:
    """One epoch of one step: the rate it is taken at is the peak itself."""
    tracker = tiny_tracker(seed=2)
    groups = support_groups(tracker, CAFE, bookings(1), offers=False, seed=0)
    start = tracker.weights["requested.bias"]
    tuned = finetune(tracker, groups, FineTuning(rate=1e-3, epochs=1, warmup=0.1))
    step = (tuned.weights["requested.bias"] - start * (1 - 1e-3 * 0.01)).abs()
    torch.testing.assert_close(step, torch.full((1,), 1e-3), rtol=1e-3, atol=0)
    slow = finetune(tracker, groups, FineTuning(rate=1e-3, epochs=1, warmup=4.0))
    step = (slow.weights["requested.bias"] - start * (1 - 0.25e-3 * 0.01)).abs()
    torch.testing.assert_close(step, torch.full((1,), 0.25e-3), rtol=1e-3, atol=0)
