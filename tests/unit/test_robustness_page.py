"""docs/robustness.md shows what bench/robustness.py measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from robustness_parts import page


def test_the_page_shows_what_was_measured() -> None:
    """After new results: python bench/robustness.py --page"""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text, page.load()) == text


def test_results_are_the_shipped_trackers(repository: Path) -> None:
    """After a new checkpoint: run the page's command again."""
    card = json.loads(
        (repository / "plugin/rasa_onramp/checkpoints/tracker/tracker.json").read_text()
    )
    assert page.load()["settings"]["checkpoint"] == card["sha256"]


def found() -> Dict[str, Any]:
    """Made-up results of two methods."""

    def run(method: str, condition: str, jga: float) -> Dict[str, Any]:
        given = {"service": "Cafe_1", "seed": 0, "method": method, "condition": condition}
        return {**given, "group": condition, "turn_jga": [[jga, 1.0]]}

    def row(method: str, condition: str, jga: float, **more: Any) -> Dict[str, Any]:
        given = {"condition": condition, "method": method, "services": 1, "turns": 2, "jga": jga}
        return {**given, "clean_jga": 0.75, **more}

    return {
        "settings": {"shots": 5, "limit": 2, "checkpoint": "abc"},
        "summary": [
            row("adapted", "clean", 0.75),
            row("adapted", "lower case", 0.5, minus_clean=[-0.25, -0.5, 0.125]),
            row("zero-shot", "clean", 0.5),
        ],
        "sensitivity": [
            {
                "method": "adapted",
                "jga": {"paraphrased schema 1": 0.25, "paraphrased schema 2": 0.75},
                "mean_jga": 0.5,
                "schema_sensitivity": 0.125,
                "turns": 2,
            }
        ],
        "missed_slots": [
            {
                "method": "adapted",
                "services": 1,
                "turns": 1,
                "accuracy": 0.5,
                "clean_accuracy": 1.0,
                "minus_clean": [-0.5, None, None],
            }
        ],
        "order": {
            "tracking": {
                "domains": 2,
                "orders": 2,
                "steps": 1,
                "looks": 6,
                "adapters_changed": 0,
                "states_compared": 12,
                "states_changed": 0,
            },
            "routing": {
                "domains": 2,
                "orders": 3,
                "messages": 9,
                "sizes": [{"domains": 1, "openings": 1.0, "follow_ups": None}],
                "worst_fall": 0.25,
                "order_changes": 0,
            },
        },
        "runs": [run("adapted", "clean", 0.5), run("zero-shot", "clean", 0.0)],
    }


def test_tables_by_hand() -> None:
    tables = page.tables(found())
    assert tables["conditions"] == [
        ["JGA", "services", "zero-shot", "adapted"],
        ["clean", "1", "0.500", "0.750"],
        ["lower case", "1", "", "0.500 (-0.250 [-0.500, +0.125])"],
    ]
    assert tables["services"] == [["JGA, adapted", "Cafe_1"], ["clean", "0.75"]]
    assert tables["paraphrases"] == [
        ["", "v1", "v2", "mean", "SS (JGA)"],
        ["adapted", "0.250", "0.750", "0.500", "0.125"],
    ]
    assert tables["missed"][1] == ["adapted", "1", "1", "1.000", "0.500", "-0.500"]
    assert tables["order"][1] == ["1", "1.000", ""]


def test_a_page_is_filled_at_its_markers() -> None:
    names = [*page.tables(found()), "setting", "order-tracking", "order-routing"]
    empty = "".join(f"# {n}\n<!-- figures: {n} -->\nold\n<!-- end -->\n" for n in names)
    full = page.filled(empty, found())
    assert "old" not in full and "| clean | 1 | 0.500 | 0.750 |" in full
    assert "of 6 later looks\n0 found another adapter, and of 12 states 0 had changed." in full
    assert "Measured on Cafe_1:\n5 support dialogues, 1 support set(s) a service" in full
    assert "zero-shot 2, adapted 2." in full
    assert page.filled(full, found()) == full


def test_results_without_an_order_have_tables_too() -> None:
    partial = {name: part for name, part in found().items() if name != "order"}
    assert len(page.tables(partial)["order"]) == 1
    text = page.PAGE.read_text(encoding="utf-8")
    lacking = "**Not measured yet:** plain fine-tuning; paraphrased schema; "
    assert lacking in page.filled(text, partial)
    assert "upper case; " in page.filled(text, partial)
    assert "a slot that the support never mentions; order of onboarding." in page.filled(
        text, partial
    )
    assert "clean" in page.printed(partial)


def test_markers_must_be_there() -> None:
    with pytest.raises(ValueError):
        page.filled("no markers", found())
