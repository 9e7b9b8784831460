"""The README's figures are those of bench/results, made by bench/figures.py."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def figures(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", repository / "bench" / "figures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_shows_what_was_measured(repository: Path, figures: ModuleType) -> None:
    """After new results: python bench/figures.py --write"""
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert figures.filled(readme) == readme


def test_results_are_the_shipped_trackers(repository: Path, figures: ModuleType) -> None:
    """After a new checkpoint: run the README's commands again."""
    card = json.loads(
        (repository / "plugin/rasa_onramp/checkpoints/tracker/tracker.json").read_text()
    )
    for files in figures.TABLES.values():
        for file in files:
            results = json.loads((repository / "bench" / "results" / file).read_text())
            assert results["settings"]["checkpoint"] == card["sha256"], file


def test_reply_results_are_the_shipped_initialisations(
    repository: Path, figures: ModuleType
) -> None:
    """After a new one: run the README's commands again."""
    card = json.loads(
        (repository / "plugin/rasa_onramp/checkpoints/replies/replies.json").read_text()
    )
    for file in figures.REPLY_TABLES.values():
        results = json.loads((repository / "bench" / "results" / file).read_text())
        assert results["settings"]["checkpoint"] == card["sha256"], file


def test_joined_figures_by_hand(figures: ModuleType) -> None:
    def run(service: str, method: str, seed: int, jga: float, turns: int) -> dict:
        return {
            "service": service,
            "method": method,
            "seed": seed,
            "jga": jga,
            "turns": turns,
            "shots": 5,
            "seconds": 2.0,
        }

    runs = [
        run(service, method, seed, jga + gain, turns)
        for service, jga, turns in (("a", 0.5, 30), ("b", 0.1, 10))
        for seed in (0, 1)
        for method, gain in (("zero-shot", 0.0), ("finetune", 0.1), ("adapted", 0.3))
    ]
    runs.append({**run("a", "adapted", 0, 0.0, 99), "shots": 1})  # other sizes don't count
    lines = figures.markdown(runs).splitlines()
    assert lines[2] == "| zero-shot (schema only) | 0.400 ± 0.000 | 0.300 | 2.0 |"
    assert lines[4] == "| adapted on 5 dialogues | 0.700 ± 0.000 | 0.600 | 2.0 |"
    assert "joint goal accuracy 0.40 → 0.70**" in figures.headline(runs)
    assert "(0.50 by plain fine-tuning" in figures.headline(runs)
    assert lines[6] == "| adapted minus plain fine-tuning | +0.200 [+0.200, +0.200] | | |"
