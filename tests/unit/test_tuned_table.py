"""Fine-tuning at another rate stands beside the few-shot curve, on the same splits."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict

import pytest

from rasa_onramp.errors import ConfigError
from result_tables.tuned import in_short, tuned


def results(rate: float, *seeds: int, **jga: float) -> Dict[str, Any]:
    """One service, a dialogue of four turns a support set; what five dialogues bring."""
    return {
        "settings": {"finetune": {"rate": rate}},
        "splits": [
            {"service": "a", "seed": seed, "support": [f"s{seed}"], "held_out": [f"h{seed}"]}
            for seed in seeds
        ],
        "runs": [
            {
                "service": "a",
                "seed": seed,
                "shots": 5,
                "method": method,
                "dialogues": [[4, 4 * value]],
            }
            for method, value in jga.items()
            for seed in seeds
        ],
    }


def test_rows_by_hand() -> None:
    curve = results(1e-4, 0, 1, 2, adapted=0.75, finetune=0.25)
    curve["runs"][2]["dialogues"] = [[4, 0.0]]  # of a support set that isn't in the other file
    grid = tuned([results(3e-5, 0, 1, finetune=0.5)], curve)
    assert grid.header == ("JGA, 2 support sets a service", "5 dialogues")
    assert [(name, cell[:6]) for name, cell in grid.rows] == [
        ("adapted", "0.750 "),
        ("plain fine-tuning at 0.0001", "0.250 "),
        ("plain fine-tuning at 3e-05", "0.500 "),
        ("adapted minus plain fine-tuning at 3e-05", "**+0.2"),
    ]
    told = in_short([results(3e-5, 0, 1, finetune=0.5)], curve)
    assert "has 0.500 where adapting has 0.750:\na difference of +0.250 [+0.250, +0.250]" in told


def test_other_splits_are_refused() -> None:
    curve, found = results(1e-4, 0, adapted=1.0, finetune=1.0), results(3e-5, 0, finetune=1.0)
    other = deepcopy(found)
    other["splits"][0]["held_out"] = ["h7"]
    tuned([found], curve)
    with pytest.raises(ConfigError, match="a, seed 0, isn't split as in the few-shot curve"):
        tuned([other], curve)
