"""Guards for `higher`: it fails silently, so its gradients are compared with hand-written ones."""

from __future__ import annotations

import random
from typing import Callable, Dict, List

import pytest
import torch
from torch import Tensor

from hand_written import STEPS, Toy, Weights, by_hand, leaves
from rasa_onramp.metalearning.examples import Augmentation, group_of
from rasa_onramp.metalearning.inner_loop import (
    InnerLoop,
    adapt,
    differentiable_steps,
    initial_rates,
)
from rasa_onramp.metalearning.lora import Adapter
from rasa_onramp.tracker.loss import tracking_loss
from rasa_onramp.tracker.model import StateTracker
from tiny_tracker import CAFE, booking, shared_tokens, tiny_tracker


def adapted(
    adapter: Adapter, loss: Callable[[Weights, int], Tensor], rates: Weights, how: InnerLoop
) -> Dict[str, Tensor]:
    """The weights after the last step."""
    *_, last = differentiable_steps(adapter, loss, rates, how)
    return last


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("order", [1, 2])
def test_meta_gradients_are_those_of_hand_written_autograd(order: int, optimiser: str) -> None:
    toy = Toy()
    start, rates = leaves(toy.start), leaves(toy.rates)
    *_, fast = by_hand(start, toy.loss, rates, order=order, optimiser=optimiser)
    wanted = torch.autograd.grad(toy.query(fast), [*start.values(), *rates.values()])

    adapter, learned = Adapter(toy.start), leaves(toy.rates)
    how = InnerLoop(STEPS, order, optimiser)
    found = adapted(adapter, toy.loss, learned, how)
    for name in toy.start:
        torch.testing.assert_close(found[name], fast[name])
    toy.query(found).backward()
    gradients = [p.grad for p in (*adapter.parameters(), *learned.values())]
    for ours, theirs in zip(gradients, wanted):
        assert ours is not None
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_the_two_orders_differ_in_the_gradient_and_in_nothing_else() -> None:
    toy = Toy()
    found = {}
    for order in (1, 2):
        adapter = Adapter(toy.start)
        fast = adapted(adapter, toy.loss, toy.rates, InnerLoop(STEPS, order, "sgd"))
        toy.query(fast).backward()
        found[order] = (fast, [p.grad for p in adapter.parameters()])
    for name in toy.start:
        torch.testing.assert_close(found[1][0][name], found[2][0][name])
    assert not torch.allclose(found[1][1][0], found[2][1][0], rtol=1e-3)


def test_second_order_gradients_agree_with_finite_differences() -> None:
    toy = Toy()
    how = InnerLoop(STEPS, 2, "sgd")

    def outer(a: Tensor, rate: Tensor) -> Tensor:
        adapter = Adapter({"a.weight": a.detach(), "b.bias": toy.start["b.bias"]})
        rates = {**toy.rates, "a.weight": rate}
        return toy.query(adapted(adapter, toy.loss, rates, how))

    adapter, rates = Adapter(toy.start), leaves(toy.rates)
    toy.query(adapted(adapter, toy.loss, rates, how)).backward()
    small = 1e-6
    for which, gradient in (
        ("start", next(adapter.parameters()).grad),
        ("rate", rates["a.weight"].grad),
    ):
        assert gradient is not None
        direction = torch.ones_like(gradient)
        ends = []
        for sign in (1, -1):
            a, rate = toy.start["a.weight"], toy.rates["a.weight"]
            moved = sign * small * direction
            ends.append(outer(a + moved, rate) if which == "start" else outer(a, rate + moved))
        slope = ((ends[0] - ends[1]) / (2 * small)).item()
        assert slope == pytest.approx((gradient * direction).sum().item(), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_adapting_with_adam_is_torchs_adam_step_by_step(steps: int) -> None:
    """Steps beyond the learned rates take the last one."""
    toy = Toy()

    def loss(weights: Weights, step: int) -> Tensor:
        return toy.loss(weights, step % STEPS)

    theirs = leaves(toy.start)
    optimiser = torch.optim.Adam(
        [{"params": [value], "name": name} for name, value in theirs.items()]
    )
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = float(toy.rates[group["name"]][min(step, STEPS - 1)])
        optimiser.zero_grad()
        loss(theirs, step).backward()
        optimiser.step()
    ours = adapt(toy.start, loss, toy.rates, InnerLoop(steps, 1, "adam"))
    for name, value in theirs.items():
        assert not ours[name].requires_grad
        torch.testing.assert_close(ours[name], value.detach(), rtol=1e-5, atol=1e-5)
        assert (ours[name] - toy.start[name]).abs().min() > 1e-2 * steps  # a thousand times that


def test_adapting_leaves_the_initialisation_and_tells_each_steps_loss() -> None:
    toy = Toy()
    before = {name: value.clone() for name, value in toy.start.items()}
    told: List = []

    def same_batch(weights: Weights, step: int) -> Tensor:
        return toy.loss(weights, 0)

    adapted = adapt(
        toy.start,
        same_batch,
        toy.rates,
        InnerLoop(STEPS, 1, "sgd"),
        after_step=lambda step, loss: told.append((step, loss)),
    )
    assert all(torch.equal(toy.start[name], before[name]) for name in before)
    assert [step for step, _ in told] == [0, 1, 2]
    losses = [loss for _, loss in told]
    assert losses[0] == pytest.approx(toy.loss(before, 0).item())
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[2]
    assert toy.loss(adapted, 0).item() < losses[2]


def test_no_steps_change_nothing() -> None:
    toy = Toy()
    adapted = adapt(toy.start, toy.loss, toy.rates, InnerLoop(0, 1, "adam"))
    assert all(torch.equal(adapted[name], value) for name, value in toy.start.items())


def test_tensors_that_a_loss_does_not_use_stay_as_they_are() -> None:
    toy = Toy()
    start = {**toy.start, "unused": torch.ones(2, dtype=torch.float64)}
    rates = {**toy.rates, "unused": torch.ones(STEPS, dtype=torch.float64)}
    for order in (1, 2):
        adapted = adapt(start, toy.loss, rates, InnerLoop(STEPS, order, "adam"))
        assert torch.equal(adapted["unused"], start["unused"])
        assert not torch.equal(adapted["b.bias"], start["b.bias"])


def test_initial_rates_fall_and_differ_for_updates_and_heads() -> None:
    weights = {"x.lora_A.weight": torch.ones(1), "flag.weight": torch.ones(2)}
    rates = initial_rates(weights, 3, lora=0.5, heads=0.25)
    assert rates["x.lora_A.weight"].tolist() == pytest.approx([0.5, 0.3, 0.1])
    assert rates["flag.weight"].tolist() == pytest.approx([0.25, 0.15, 0.05])
    assert initial_rates(weights, 1, lora=0.5, heads=0.25)["flag.weight"].tolist() == [0.25]


#: A key's bias adds the same to all that a query is matched with, and softmax ignores that.
NO_EFFECT = ("start_key.bias", "end_key.bias")


@pytest.fixture
def tracker() -> StateTracker:
    tracker = tiny_tracker(seed=3, rank=2, steps=2)
    # a gradient must reach the A's as well, and offers must be there to be learned from
    generator = torch.Generator().manual_seed(0)
    for name, value in tracker.weights.items():
        if name.endswith("lora_B.weight") or name == "offer.weight":
            tracker.weights[name] = torch.randn(value.shape, generator=generator) * 0.1
    return tracker


def tracker_loss(tracker: StateTracker, number: int, plain: bool):
    """The loss of one dialogue whose offers are marked, at any weights."""
    how = Augmentation(offers=1.0)
    group = group_of(shared_tokens(), CAFE, [booking(number)], random.Random(0), how)
    assert group is not None
    schema, ((said, labels),) = group.schema, group.parts

    def loss(weights: Weights, step: int = 0) -> Tensor:
        memory = tracker.remember(schema, weights, math_attention=plain)
        return tracking_loss(tracker.ask(memory, said, weights, math_attention=plain), labels)

    return loss


@pytest.mark.parametrize("order", [1, 2])
def test_every_weight_and_rate_of_a_tracker_gets_a_meta_gradient(
    tracker: StateTracker, order: int
) -> None:
    support = tracker_loss(tracker, 0, order == 2)
    query = tracker_loss(tracker, 1, order == 2)
    tracker.encoder.requires_grad_(True)
    adapter, rates = Adapter(tracker.weights), leaves(tracker.rates)
    fast = adapted(adapter, support, rates, InnerLoop(2, order, "adam"))
    query(fast).backward()
    for name, parameter in zip(adapter.names, adapter.parameters()):
        rate = rates[name].grad
        assert parameter.grad is not None and rate is not None, name
        if name not in NO_EFFECT:
            assert parameter.grad.abs().max() > 1e-6, name
            assert (rate.abs() > 1e-6).all(), name
    # the encoder takes no inner steps, yet the outer loss reaches it
    for name, parameter in tracker.encoder.named_parameters():
        if name.startswith("encoder.") and "key.bias" not in name:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_fast_weights_change_the_loss(tracker: StateTracker) -> None:
    support = tracker_loss(tracker, 0, False)
    adapter = Adapter(tracker.weights)
    fast = adapted(adapter, support, tracker.rates, InnerLoop(2, 1, "adam"))
    before, after = support(adapter()).item(), support(fast).item()
    assert after < before - 0.1
    # each of them counts: put back to where it was, the loss is another
    for name in fast:
        if name in NO_EFFECT:
            continue
        mixed = {**fast, name: adapter()[name]}
        assert support(mixed).item() != pytest.approx(after, abs=1e-7), name


def test_the_encoder_is_neither_cloned_nor_touched(tracker: StateTracker) -> None:
    """Only what adapts is patched: 22 million frozen weights are not copied a domain."""
    encoder = tracker.encoder
    before = {name: (p, p.data_ptr(), p.clone()) for name, p in encoder.named_parameters()}
    support = tracker_loss(tracker, 0, False)
    adapted = adapt(tracker.weights, support, tracker.rates, InnerLoop(2, 1, "adam"))
    assert set(adapted) == set(tracker.weights)
    for name, parameter in encoder.named_parameters():
        same, address, value = before[name]
        assert parameter is same and parameter.data_ptr() == address
        assert torch.equal(parameter, value)
        assert parameter.grad is None
    assert not any(name in adapted for name in before)


def test_adapting_at_deployment_takes_the_steps_of_meta_training(tracker: StateTracker) -> None:
    support = tracker_loss(tracker, 0, False)
    how = InnerLoop(2, 1, "adam")
    trained = adapted(Adapter(tracker.weights), support, tracker.rates, how)
    deployed = adapt(tracker.weights, support, tracker.rates, how)
    for name, value in trained.items():
        torch.testing.assert_close(deployed[name], value.detach(), rtol=1e-5, atol=1e-6)
