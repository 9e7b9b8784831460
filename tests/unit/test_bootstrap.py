"""Paired bootstrap intervals: small cases whose distribution is known."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from rasa_onramp.evaluation.bootstrap import Difference, paired_difference


def mean(units):
    return sum(units) / len(units)


def zeros(units):
    return dict.fromkeys(units, 0.0)


def test_a_constant_gain_has_no_spread():
    first = {("s", seed): 1.5 + seed for seed in range(4)}
    second = {path: value - 0.5 for path, value in first.items()}
    assert paired_difference(first, second, mean) == Difference(0.5, 0.5, 0.5)


def test_groups_stay_and_their_members_are_drawn_anew():
    # One member a group: nothing can vary, however far apart the groups are.
    assert paired_difference({("a", 0): 0.0, ("b", 0): 1.0}, {("a", 0): 0, ("b", 0): 0}, mean) == (
        Difference(0.5, 0.5, 0.5)
    )
    # Two members of one group: both may be the first or the second, a quarter of the time each.
    units = {("a", 0): 0.0, ("a", 1): 1.0}
    assert paired_difference(units, zeros(units), mean) == Difference(0.5, 0.0, 1.0)


def test_support_sets_alone_are_drawn_as_plain_bootstrap_does():
    rng = random.Random(1)
    units = {(group, seed): rng.random() for group in "abc" for seed in range(5)}
    draws, found = random.Random(7), []
    for _ in range(400):
        found.append(mean([units[g, draws.choice(range(5))] for g in "abc" for _ in range(5)]))
    found.sort()
    # 400 / 40 = 10 samples lie outside on each side
    assert paired_difference(units, zeros(units), mean, resamples=400, seed=7) == Difference(
        pytest.approx(mean(list(units.values()))), found[10], found[389]
    )


def test_dialogues_that_support_sets_share_are_drawn_for_all_of_them():
    # Twenty support sets, all with the same value on a dialogue: only the two dialogues vary, so a
    # quarter of the samples have the first alone, and the interval is that of two units, not forty.
    units = {("s", seed, d): float(d) for seed in range(20) for d in (0, 1)}
    assert paired_difference(units, zeros(units), mean, resamples=400) == Difference(0.5, 0.0, 1.0)


def test_combinations_that_were_not_measured_are_left_out():
    # Each support set has a dialogue of its own: samples without a single one are drawn again.
    units = {("s", seed, f"d{seed}"): float(seed) for seed in (0, 1)}
    assert paired_difference(units, zeros(units), mean) == Difference(0.5, 0.0, 1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = random.Random(0)
    covered = []
    for _ in range(100):
        units = {("s", number): rng.gauss(0, 1) for number in range(30)}
        found = paired_difference(units, zeros(units), mean, resamples=120)
        covered.append(found.low <= 0 <= found.high)
    assert 0.88 < statistics.fmean(covered) < 0.99


def test_the_seed_decides():
    units = {("s", number): float(number**2) for number in range(9)}
    again = [paired_difference(units, zeros(units), mean, resamples=80, seed=s) for s in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def test_an_undefined_sample_leaves_the_interval_undefined():
    units = {("s", 0): math.nan, ("s", 1): 1.0}
    found = paired_difference(
        units, zeros(units), lambda rows: mean(rows) if any(rows) else 0.0, resamples=40
    )
    assert math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.parametrize(
    ("first", "second", "resamples"),
    [
        ({}, {}, 100),
        ({("s", 0): 1.0}, {("s", 1): 1.0}, 100),
        ({("s",): 1.0}, {("s",): 1.0}, 100),
        ({("s", 0): 1.0, ("s", 0, 1): 1.0}, {("s", 0): 1.0, ("s", 0, 1): 1.0}, 100),
        ({("s", 0): 1.0}, {("s", 0): 1.0}, 39),
    ],
)
def test_what_cannot_be_compared(first, second, resamples):
    with pytest.raises(ValueError):
        paired_difference(first, second, mean, resamples=resamples)
