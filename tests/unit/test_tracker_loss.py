"""The loss on cases small enough to be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rasa_onramp.tracker.batch import Labels, collate, collate_labels
from rasa_onramp.tracker.loss import tracking_loss
from rasa_onramp.tracker.model import Scores
from rasa_onramp.tracker.targets import label
from tiny_tracker import booking, in_one_pass, prompt_of, tiny_tracker

LOWEST = torch.finfo(torch.float32).min


def logs(*probabilities: float) -> Tensor:
    """Scores whose softmax is `probabilities`; 0 is what may not be pointed at."""
    return torch.tensor([math.log(p) + 3.0 if p else LOWEST for p in probabilities])


def right(*places: int, tokens: int = 4) -> Tensor:
    mask = torch.zeros(tokens, dtype=torch.bool)
    mask[list(places)] = True
    return mask


def test_by_hand() -> None:
    """Two dialogues: a slot said twice and an intent; a slot that nobody can point at."""
    start = torch.stack(
        [
            torch.stack([logs(0.1, 0.2, 0.3, 0.4), logs(0.5, 0.25, 0.25, 0)]),
            torch.stack([logs(0.7, 0.1, 0.1, 0.1), logs(1, 0, 0, 0)]),
        ]
    )
    end = torch.stack(
        [
            torch.stack([logs(0.2, 0.2, 0.2, 0.4), logs(0.25, 0.5, 0.25, 0)]),
            torch.stack([logs(0.7, 0.1, 0.1, 0.1), logs(1, 0, 0, 0)]),
        ]
    )
    requested = torch.tensor([[math.log(3), 7.0], [-math.log(3), -9.0]])
    labels = Labels(
        # the value stands at 1 and 3: either is right, so their probabilities add up
        start=torch.stack([torch.stack([right(1, 3), right(0)]), torch.stack([right(), right()])]),
        end=torch.stack([torch.stack([right(1, 3), right(1)]), torch.stack([right(), right()])]),
        requested=torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        slot=torch.tensor([[True, False], [True, False]]),
        turns=2,
    )
    starts = -math.log(0.2 + 0.4) - math.log(0.5)
    ends = -math.log(0.2 + 0.4) - math.log(0.5)
    # sigmoid(±log 3) is 3/4 and 1/4; the intent's query isn't asked about
    asked_for = -math.log(0.75) - math.log(0.25)
    wanted = ((starts + ends) / 2 + asked_for) / 2
    loss = tracking_loss(Scores(start, end, requested), labels)
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_gradients_are_finite_and_only_where_something_is_to_learn() -> None:
    start = torch.stack([logs(0.5, 0.5, 0, 0), logs(0.25, 0.25, 0.25, 0.25)])[None]
    start.requires_grad_(True)
    labels = Labels(
        start=torch.stack([right(0), right()])[None],
        end=torch.stack([right(0), right()])[None],
        requested=torch.zeros(1, 2),
        slot=torch.zeros(1, 2, dtype=torch.bool),
        turns=1,
    )
    tracking_loss(Scores(start, start.detach(), torch.zeros(1, 2)), labels).backward()
    assert start.grad is not None and torch.isfinite(start.grad).all()
    torch.testing.assert_close(start.grad[0, 0], torch.tensor([-0.25, 0.25, 0.0, 0.0]))
    assert not start.grad[0, 1].any()


def test_a_batch_without_turns_costs_nothing() -> None:
    empty = torch.zeros(1, 0, 4)
    labels = Labels(empty.bool(), empty.bool(), torch.zeros(1, 0), torch.zeros(1, 0).bool(), 0)
    assert tracking_loss(Scores(empty, empty, torch.zeros(1, 0)), labels).item() == 0


def test_a_batchs_loss_is_the_mean_over_its_turns() -> None:
    """Padding counts nothing, dialogues weigh by their turns."""
    tracker = tiny_tracker(seed=2)
    prompts = [prompt_of(booking(0).turns, 0, 2, 4), prompt_of(booking(1).turns, 2)]
    targets = [label(prompt, [{}] * len(prompt.asked)) for prompt in prompts]

    def loss(rows) -> float:
        batch = collate([prompts[r] for r in rows])
        labels = collate_labels(
            [prompts[r] for r in rows], [targets[r] for r in rows], batch.ids.shape[1]
        )
        assert labels.turns == sum(len(prompts[r].asked) for r in rows)
        with torch.no_grad():
            return tracking_loss(in_one_pass(tracker, batch), labels).item()

    assert loss([0, 1]) == pytest.approx((3 * loss([0]) + loss([1])) / 4, rel=1e-4)
    assert loss([0]) != pytest.approx(loss([1]), rel=1e-2)


def test_labels_stand_at_their_queries() -> None:
    prompt = prompt_of(booking(0).turns, 0, 2)
    targets = label(prompt, [{}, {}])
    labels = collate_labels([prompt], [targets], len(prompt) + 7)
    assert labels.start.shape == labels.end.shape == (1, 10, len(prompt) + 7)
    assert labels.slot[0].tolist() == [True, True, True, False, False] * 2
    marked = {(q, t) for q, t in torch.nonzero(labels.start[0]).tolist()}
    assert marked == {(q, first) for q, first, _ in targets.points}
    marked = {(q, t) for q, t in torch.nonzero(labels.end[0]).tolist()}
    assert marked == {(q, last) for q, _, last in targets.points}
