"""Paired bootstrap intervals: small cases whose distribution is known."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from rasa_onramp.evaluation.bootstrap import (
    Difference,
    Estimate,
    compare_means,
    mean_estimate,
    paired_difference,
)


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


def ratio(parts):
    return sum(total for total, _ in parts) / sum(number for _, number in parts)


def test_a_mean_is_all_sums_by_all_numbers():
    units = {("s", 0): (1.0, 1), ("s", 1): (0.0, 3)}
    # a quarter of the samples have the first twice, a quarter the second
    assert mean_estimate(units) == Estimate(0.25, 0.0, 1.0)
    # groups stay: one support set each has no spread
    assert mean_estimate({("a", 0): (1.0, 1), ("b", 0): (0.0, 3)}) == Estimate(0.25, 0.25, 0.25)


def test_a_mean_varies_with_support_sets_and_with_dialogues():
    sets = {("s", seed, d): (float(seed), 1) for seed in (0, 1) for d in range(20)}
    assert mean_estimate(sets, resamples=400) == Estimate(0.5, 0.0, 1.0)
    dialogues = {("s", seed, d): (float(d), 1) for seed in range(20) for d in (0, 1)}
    assert mean_estimate(dialogues, resamples=400) == Estimate(0.5, 0.0, 1.0)


def test_samples_of_a_mean_are_those_of_any_statistic():
    """Two ways to the same interval: a unit at a time, and all samples at once."""
    rng = random.Random(3)
    units = {
        (group, seed, dialogue): (rng.random() + seed, rng.randint(1, 9))
        for group in "ab"
        for seed in range(4)
        for dialogue in rng.sample(range(9), 6)
    }
    nothing = {path: (0.0, number) for path, (_, number) in units.items()}
    slow = paired_difference(units, nothing, ratio, resamples=4000)
    fast = mean_estimate(units, resamples=40_000)
    assert fast.value == pytest.approx(slow.value)
    assert fast.low == pytest.approx(slow.low, abs=0.02)
    assert fast.high == pytest.approx(slow.high, abs=0.02)
    assert slow.high - slow.low > 0.2


def test_dialogues_of_their_own_are_drawn_until_some_were_measured():
    units = {("s", seed, f"d{seed}"): (float(seed), 1) for seed in (0, 1)}
    assert mean_estimate(units) == Estimate(0.5, 0.0, 1.0)


def test_a_mean_of_nothing():
    found = mean_estimate({("s", 0): (0.0, 0), ("s", 1): (0.0, 0)})
    assert all(math.isnan(value) for value in (found.value, found.low, found.high))
    # a group of nothing adds nothing
    some = {("s", 0): (0.0, 0), ("t", 0): (1.0, 2)}
    assert mean_estimate(some) == Estimate(0.5, 0.5, 0.5)


def test_p_values_by_hand():
    def p(*gains):
        first = {("s", seed): (2 + gain, 4) for seed, gain in enumerate(gains)}
        return compare_means(first, dict.fromkeys(first, (2.0, 4))).p

    # of the 8 ways to give three support sets a sign, all plus and all minus are as large
    assert p(1, 1, 1) == 2 / 8
    # 3 + 1 - 1 = 3; of the sums, those of 3, 1, 1 and 3, 1, -1 and 3, -1, 1 reach it, both ways
    assert p(3, 1, -1) == 6 / 8
    assert p(1, -1) == 1
    assert p(0.1, 0.2, -0.3) == 1  # a sum of nothing, but for rounding
    assert p(0, 0, 0) == 1
    # ten of ten: 2 of 1024
    assert p(*[1] * 10) == 2 / 1024


def test_dialogues_of_a_support_set_change_sides_together():
    first = {("s", 0, d): (1.0, 1) for d in range(30)}
    second = dict.fromkeys(first, (0.0, 1))
    found = compare_means(first, second)
    assert (found.value, found.low, found.high, found.p) == (1, 1, 1, 1)  # one set says nothing


def test_many_support_sets_are_given_signs_by_chance():
    first = {("s", seed): (1.0, 1) for seed in range(30)}
    second = dict.fromkeys(first, (0.0, 1))
    # that all thirty agree is one in half a billion: none of those drawn, but the one observed
    assert compare_means(first, second, resamples=999).p == 1 / 1000


def test_p_is_low_about_as_often_as_it_says():
    rng = random.Random(0)
    low = []
    for _ in range(200):
        first = {("s", number): (rng.gauss(0, 1), 1) for number in range(20)}
        low.append(compare_means(first, dict.fromkeys(first, (0.0, 1)), resamples=199).p <= 0.1)
    assert 0.05 < statistics.fmean(low) < 0.16


def test_a_difference_of_means_is_paired():
    first = {("s", seed): (10.0 * seed + 1, 1) for seed in range(5)}
    second = {path: (total - 1, 1) for path, (total, _) in first.items()}
    found = compare_means(first, second)
    assert (found.value, found.low, found.high) == (1, 1, 1)
    assert mean_estimate(first).high - mean_estimate(first).low > 10


@pytest.mark.parametrize(
    ("first", "second", "resamples"),
    [
        ({}, {}, 100),
        ({("s", 0): (1.0, 1)}, {("s", 1): (1.0, 1)}, 100),
        ({("s", 0): (1.0, 1)}, {("s", 0): (1.0, 2)}, 100),
        ({("s",): (1.0, 1)}, {("s",): (1.0, 1)}, 100),
        ({("s", 0, 0, 0): (1.0, 1)}, {("s", 0, 0, 0): (1.0, 1)}, 100),
        ({("s", 0): (1.0, 1)}, {("s", 0): (1.0, 1)}, 39),
    ],
)
def test_means_that_cannot_be_compared(first, second, resamples):
    with pytest.raises(ValueError):
        compare_means(first, second, resamples=resamples)
