"""How far a run is, and its learning rate."""

from __future__ import annotations

import pytest

from rasa_onramp.metalearning.schedule import (
    cosine,
    risen_and_fallen,
    share_done,
    warm_cosine,
)


def test_a_run_ends_by_steps_or_by_minutes() -> None:
    assert share_done(5, 20, 6.0, None) == 0.25
    assert share_done(5, 20, 30.0, 1.0) == 0.5


def test_the_rate_rises_over_the_warm_up_and_falls_to_a_twentieth() -> None:
    assert warm_cosine(0, 0.0, 10) == pytest.approx(0.1)
    assert warm_cosine(9, 0.01, 10) == cosine(0.01, 0.05)
    assert warm_cosine(500, 1.0, 10) == pytest.approx(0.05)


def test_a_short_run_leaves_its_warm_up() -> None:
    """Of ten minutes with some hundred steps, as on a CPU, two hundred would never end."""
    assert warm_cosine(3, 0.025, 200) == pytest.approx(0.5 * cosine(0.025, 0.05))
    assert warm_cosine(7, 0.05, 200) == cosine(0.05, 0.05)


def test_fine_tuning_rises_to_its_rate_and_falls_to_nothing() -> None:
    rates = [risen_and_fallen(4.0, step, 8, 0.25) for step in range(9)]
    assert rates == [2.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0]
    assert risen_and_fallen(4.0, 0, 5, 0.1) == 4.0  # too short to rise
