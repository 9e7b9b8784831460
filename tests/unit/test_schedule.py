"""How far a run is, and its learning rate."""

from __future__ import annotations

import pytest

from rasa_onramp.metalearning.schedule import cosine, share_done, warm_cosine


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
