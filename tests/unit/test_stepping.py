"""Steps whose gradient is no number: left out, and the end of training where there are too many."""

from __future__ import annotations

import math
from typing import List

import pytest
import torch

from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.stepping import MOST_LOST, Stepper


def stepped(gradients: List[float]) -> float:
    """A number after plain steps of rate 1 on these gradients, cut to 2."""
    parameter = torch.zeros(1, requires_grad=True)
    stepper = Stepper(torch.optim.SGD([parameter], lr=1.0), [[parameter], []], 2.0)
    for step, gradient in enumerate(gradients, start=1):
        parameter.grad = torch.tensor([gradient])
        norm = stepper.take(step)
        assert norm == abs(gradient) or not math.isfinite(gradient)
    return parameter.item()


def test_gradients_are_cut_and_what_is_no_number_is_left_out() -> None:
    assert stepped([1.0, 0.5]) == -1.5
    assert stepped([8.0]) == pytest.approx(-2.0)
    assert stepped([1.0, math.nan, math.inf, 0.5]) == -1.5


def test_too_many_in_a_row_end_training() -> None:
    few = [math.nan] * (MOST_LOST - 1)
    assert stepped([*few, 1.0, *few]) == -1.0
    with pytest.raises(ConfigError, match=r"at step 12, as at the 9 before it; resume"):
        stepped([1.0, 1.0, *few, math.nan])


def test_a_step_without_a_number_in_one_group_is_none_in_the_others() -> None:
    one, other = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    stepper = Stepper(torch.optim.SGD([one, other], lr=1.0), [[one], [other]], 1.0)
    one.grad, other.grad = torch.tensor([0.5]), torch.tensor([math.nan])
    assert math.isnan(stepper.take(1))
    assert (one.item(), other.item()) == (0, 0)
