"""bench/robustness.py's sums: what rows come to, and how they are kept."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import pytest

from robustness_parts.conditions import MISSED
from robustness_parts.summary import missed_slots, sensitivities, summarise


def row(
    condition: str, turns: Sequence[Sequence[float]], service: str = "a", **more: Any
) -> Dict[str, Any]:
    group = condition if condition.split()[-1].isalpha() else condition.rsplit(" ", 1)[0]
    given = {"service": service, "seed": 0, "method": "adapted", "held_out": ["d1", "d2"]}
    return {**given, "condition": condition, "group": group, "turn_jga": turns, **more}


def test_conditions_are_compared_with_the_clean_one_turn_by_turn() -> None:
    rows = [
        row("clean", [[1.0, 1.0, 0.0], [1.0]]),
        row("lower case", [[0.5, 0.5, 0.0], [0.0]]),
        row("clean", [[0.0]], service="b"),  # not measured in lower case: doesn't count there
    ]
    clean, lower = summarise(rows, resamples=200)
    assert (clean["condition"], clean["services"], clean["turns"]) == ("clean", 2, 5)
    assert clean["jga"] == pytest.approx(3 / 5) and "minus_clean" not in clean
    assert (lower["services"], lower["turns"]) == (1, 4)
    assert lower["jga"] == pytest.approx(1 / 4) and lower["clean_jga"] == pytest.approx(3 / 4)
    value, low, high = lower["minus_clean"]
    # drawn are both dialogues, or one of them twice: -1/3 for the first, -1 for the second
    assert value == pytest.approx(-1 / 2)
    assert (low, high) == (pytest.approx(-1.0), pytest.approx(-1 / 3))


def test_kinds_of_several_conditions_count_as_their_mean() -> None:
    rows = [
        row("clean", [[1.0, 1.0]]),
        row("shuffled schema 1", [[1.0, 0.0]]),
        row("shuffled schema 2", [[0.0, 0.0]]),
        row("clean", [[1.0]], service="b"),
        row("shuffled schema 1", [[1.0]], service="b"),  # the second order is missing: left out
    ]
    shuffled = summarise(rows, resamples=40)[1]
    assert (shuffled["condition"], shuffled["turns"]) == ("shuffled schema", 2)
    assert shuffled["jga"] == pytest.approx(1 / 4)


def test_a_dialogue_is_known_by_its_id_in_all_support_sets() -> None:
    """Not by its place: with both sets the same two dialogues are drawn, not three."""
    scores = {"d1": [0.0], "d2": [1.0]}
    rows = [
        {**row(name, [scores[d] if name == "clean" else [0.0] for d in order]), "seed": seed,
         "held_out": order}
        for seed, order in enumerate((["d1", "d2"], ["d2", "d1"]))
        for name in ("clean", "lower case")
    ]  # fmt: skip
    value, low, high = summarise(rows, resamples=400)[1]["minus_clean"]
    # d1 alone loses nothing, d2 alone everything
    assert (value, low, high) == (-0.5, -1.0, 0.0)


def test_methods_are_kept_apart() -> None:
    rows = [row("clean", [[1.0]]), {**row("clean", [[0.0]]), "method": "zero-shot"}]
    assert [(r["method"], r["jga"]) for r in summarise(rows, 40)] == [
        ("adapted", 1.0),
        ("zero-shot", 0.0),
    ]


def test_adapting_is_compared_with_fine_tuning_where_both_were_measured() -> None:
    rows = [
        row("clean", [[1.0, 1.0], [1.0]]),
        {**row("clean", [[0.0, 1.0], [0.0]]), "method": "finetune"},
        row("lower case", [[1.0, 1.0], [1.0]]),
        row(MISSED, [[0.0], [0.0]], slot_scores=[[1.0], []]),
        {**row(MISSED, [[0.0], [0.0]], slot_scores=[[0.0], []]), "method": "finetune"},
        row("clean", [[0.0], [0.0]], service="b"),
    ]
    clean, lower = summarise(rows, resamples=200)[:2]
    value, low, high = clean["minus_finetune"]
    # the first dialogue gains in one of two turns, the second in its only one
    assert (value, low, high) == (pytest.approx(2 / 3), 0.5, 1.0)
    assert (lower["condition"], "minus_finetune" in lower) == ("lower case", False)
    slots = row("clean", [[1.0], [1.0]], slot_scores=[[1.0], []])
    (missed,) = missed_slots([slots, *rows[3:5]], resamples=40)
    assert missed["minus_finetune"] == [1.0, None, None]


def test_sensitivity_to_paraphrases_by_hand() -> None:
    """Three wordings of two turns: the first always right, the second under one wording."""
    rows = [
        row("paraphrased schema 1", [[1.0], [1.0]]),
        row("paraphrased schema 2", [[1.0], [0.0]]),
        row("paraphrased schema 3", [[1.0], [0.0]]),
    ]
    (found,) = sensitivities(rows)
    assert list(found["jga"].values()) == [1.0, 0.5, 0.5]
    assert found["mean_jga"] == pytest.approx(2 / 3) and found["turns"] == 2
    # scores 1, 0, 0: mean 1/3, sample deviation sqrt(1/3), so sqrt(3); and 0 for the first turn
    assert found["schema_sensitivity"] == pytest.approx(3**0.5 / 2)
    assert sensitivities(rows[:1]) == []


def test_the_missed_slots_accuracy() -> None:
    scores = {"slot": "day", "turn_jga": [[1.0, 1.0]]}
    rows = [
        row("clean", [], slot_scores=[[1.0, 0.5], []]),
        row("a slot that the support never mentions", [], slot_scores=[[0.5, 0.0], []]),
        row("clean", [[1.0]], service="b"),  # no slot of it can be missed
    ]
    (found,) = missed_slots(rows, resamples=40)
    assert (found["services"], found["turns"]) == (1, 2)
    assert found["accuracy"] == pytest.approx(0.25)
    assert found["clean_accuracy"] == pytest.approx(0.75)
    # dialogues that never hold the slot have no say
    # draws never leave a service's only dialogue out, so there is no interval
    assert found["minus_clean"] == [pytest.approx(-0.5), None, None]
    twice = [{**each, "slot_scores": each.get("slot_scores", [])[:1] * 2} for each in rows]
    (found,) = missed_slots(twice, resamples=40)
    assert found["minus_clean"] == [pytest.approx(-0.5)] * 3
    assert missed_slots([{**rows[2], **scores}]) == []
