"""Figures of replies by method, where some of them are defined by no reply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import pytest

from rasa_onramp.cli.figures_file import plain, write_figures
from rasa_onramp.evaluation.reply_few_shot import ReplyResult
from rasa_onramp.evaluation.reply_metrics import ScoredReply
from rasa_onramp.evaluation.reply_tables import difference, replies_table, row, summarise_replies
from rasa_onramp.evaluation.result_json import reply_result_from_json, reply_result_to_json


def results(slots_by_seed: List[tuple]) -> List[ReplyResult]:
    """Of two methods; each seed's references have the placeholders given."""
    found = []
    for seed, slots in enumerate(slots_by_seed):
        one = ScoredReply("on friday", "on monday", "on {day}", "on {day}", slots, ("day",))
        for method in ("adapted", "retrieval"):
            found.append(ReplyResult("taxi", method, 5, seed, 0.5, 0.25, {"d": (one,)}))
    return found


@pytest.mark.parametrize(
    ("slots_by_seed", "rate", "spread"),
    [
        ([("day",), ("day",), ("time",)], 2 / 3, 1.154701),
        ([("day",), ("day",), ()], 0.5, 0.0),  # the second's spread is of two seeds
        ([("day",), ()], 1.0, None),
        ([("day",)], 0.0, None),
        ([(), ()], None, None),
    ],
)
def test_a_rate_that_no_reference_defines(
    tmp_path: Path, slots_by_seed: List[tuple], rate: object, spread: object
) -> None:
    found = results(slots_by_seed)
    (summary,) = plain([summarise_replies(found, "adapted", 5)])
    assert (summary["slot_error_rate"], summary["slot_error_rate_sd"]) == (
        None if rate is None else pytest.approx(rate, abs=1e-6),
        spread,
    )
    differences = plain([difference(found, "retrieval", 5)])
    text = replies_table([summary], differences)
    assert "nan" not in text
    if () in slots_by_seed:  # a sample may have nothing but such references
        assert differences[0]["slot_error_rate"] == [0.0 if rate else None, None, None]
        assert text.endswith(f"{'+0.000' if rate else '-'} [-, -]")
    runs = plain([row(result) for result in found])
    write_figures(str(tmp_path / "out.json"), {"differences": differences, "runs": runs})


def test_a_result_is_kept_whole() -> None:
    for result in results([("day",), ()]):
        text = json.dumps(reply_result_to_json(result))
        assert reply_result_from_json(json.loads(text)) == result


def test_orders_of_one_support_set_are_not_support_sets() -> None:
    right = ScoredReply("on friday", "on friday", "on {day}", "on {day}", ("day",), ("day",))
    wrong = ScoredReply("on friday", "at noon", "on {day}", "at {time}", ("day",), ("time",))

    def orders(count: int) -> List[ReplyResult]:
        retrieved = {"a": (wrong,), "b": (right,), "c": (wrong,)}
        adapted = dict.fromkeys(retrieved, (right,))
        return [
            ReplyResult("taxi", method, 5, seed, 0.5, 0.25, replies)
            for seed in range(count)
            for method, replies in (("adapted", adapted), ("retrieval", retrieved))
        ]

    one, four = (difference(orders(n), "retrieval", 5, own_split=True) for n in (1, 4))
    assert four["slot_error_rate"] == pytest.approx(one["slot_error_rate"])
