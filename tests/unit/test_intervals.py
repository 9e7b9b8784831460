"""From the rows of an evaluation to intervals and comparisons, by hand."""

from __future__ import annotations

import pytest

from rasa_onramp.evaluation.intervals import comparisons, estimates, jga_units

SPLITS = [
    {"service": "A", "seed": 0, "support": ["a3"], "held_out": ["a1", "a2"]},
    {"service": "A", "seed": 1, "support": ["a2"], "held_out": ["a3", "a1"]},
]


def run(method: str, shots: int, seed: int, *dialogues: list) -> dict:
    turns = sum(number for number, _ in dialogues)
    jga = sum(total for _, total in dialogues) / turns
    whole = {"service": "A", "method": method, "shots": shots, "seed": seed}
    return {**whole, "turns": turns, "jga": jga, "dialogues": list(dialogues)}


RUNS = [
    *(run("zero-shot", shots, 0, [4, 1.0], [2, 1.0]) for shots in (0, 5)),
    run("adapted", 0, 0, [4, 1.0], [2, 1.0]),
    run("adapted", 5, 0, [4, 3.0], [2, 2.0]),
    *(run("zero-shot", shots, 1, [1, 0.0], [4, 2.0]) for shots in (0, 5)),
    run("adapted", 0, 1, [1, 0.0], [4, 2.0]),
    run("adapted", 5, 1, [1, 1.0], [4, 4.0]),
]


def test_units_are_the_dialogues_of_a_support_set() -> None:
    assert jga_units(RUNS, SPLITS, "adapted", 5) == {
        ("A", 0, "a1"): (3.0, 4),
        ("A", 0, "a2"): (2.0, 2),
        ("A", 1, "a3"): (1.0, 1),
        ("A", 1, "a1"): (4.0, 4),
    }


def test_without_dialogues_a_support_set_is_one_unit() -> None:
    bare = [{key: run[key] for key in run if key != "dialogues"} for run in RUNS]
    assert jga_units(bare, [], "adapted", 5) == {("A", 0): (5.0, 6), ("A", 1): (5.0, 5)}


def test_orders_of_one_support_set_are_one_unit() -> None:
    splits = [{**split, "held_out": ["a1", "a2"]} for split in SPLITS]
    runs = [run("adapted", 5, 0, [4, 3.0], [2, 2.0]), run("adapted", 5, 1, [4, 1.0], [2, 0.0])]
    units = {("A", 0, "a1"): (2.0, 4), ("A", 0, "a2"): (1.0, 2)}
    assert jga_units(runs, splits, "adapted", 5, own_split=True) == units
    runs += [run("zero-shot", 5, seed, [4, 0.0], [2, 0.0]) for seed in (0, 1)]
    (row,) = comparisons(runs, splits, own_split=True)
    assert row["jga"][0] == 0.5
    (apart,) = comparisons(runs, splits)
    assert apart["jga"][0] == 0.5
    assert row["p"] is apart["p"] is None  # one or two support sets can tell nothing


def test_a_service_without_slots_has_no_turns_to_draw() -> None:
    none = {**run("adapted", 5, 0, [4, 3.0]), "service": "B", "jga": None}
    assert jga_units([none], [], "adapted", 5) == {("B", 0): (0.0, 0)}
    (row,) = estimates([none, run("adapted", 5, 0, [4, 3.0]), run("adapted", 5, 1, [4, 1.0])], [])
    assert row["jga"][0] == 0.5


def test_means_over_turns_by_method_and_size() -> None:
    rows = estimates(RUNS, SPLITS)
    assert [(row["method"], row["shots"]) for row in rows] == [
        *(("zero-shot", 0), ("adapted", 0)),
        *(("zero-shot", 5), ("adapted", 5)),
    ]
    values = [row["jga"][0] for row in rows]
    assert values == pytest.approx([4 / 11, 4 / 11, 4 / 11, 10 / 11])
    for value, low, high in (row["jga"] for row in rows):
        assert low <= value <= high and low < high


def test_methods_are_compared_at_sizes_where_they_differ() -> None:
    (row,) = comparisons(RUNS, SPLITS)
    assert (row["shots"], row["minus"]) == (5, "zero-shot")
    assert row["jga"][0] == pytest.approx((2 + 1 + 1 + 2) / 11)
    assert row["p"] is None  # two support sets: no p below 0.05 is to be had
    more = [{**each, "seed": seed} for seed in range(2, 6) for each in RUNS if each["seed"] == 0]
    drawn = [{**each, "seed": seed} for seed in range(2, 6) for each in SPLITS if each["seed"] == 0]
    (row,) = comparisons([*RUNS, *more], [*SPLITS, *drawn])
    assert row["p"] == 2 / 2**6  # six, all better
    assert comparisons(RUNS, SPLITS, main="finetune") == []
