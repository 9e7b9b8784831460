"""The figures of README.md and docs/results.md are those of bench/results, by bench/figures.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import figures
from result_tables import TABLES, Table

TRACKER = "plugin/rasa_onramp/checkpoints/tracker/tracker.json"
REPLIES = "plugin/rasa_onramp/checkpoints/replies/replies.json"


def test_the_readme_shows_what_was_measured(repository: Path) -> None:
    """After new results: python bench/figures.py --write"""
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert figures.filled(readme) == readme


def test_the_results_page_of_the_docs_shows_what_was_measured(repository: Path) -> None:
    """After new results: python bench/figures.py --write"""
    text = (repository / "docs" / "results.md").read_text(encoding="utf-8")
    assert figures.document() == text


@pytest.mark.parametrize("name", ["sgd", "headline"])
def test_what_was_edited_by_hand_is_made_anew(repository: Path, name: str) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    head, rest = readme.split(f"<!-- figures: {name} -->\n")
    edited = f"{head}<!-- figures: {name} -->\n0.99 by hand{rest[rest.index(chr(10)) :]}"
    assert edited != readme
    assert figures.filled(edited) == figures.filled(readme)


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_results_are_of_what_ships(repository: Path, table: Table) -> None:
    """After a new checkpoint: run the commands in docs/results.md again."""
    shipped = {
        json.loads((repository / card).read_text(encoding="utf-8"))["sha256"]
        for card in (TRACKER, REPLIES)
    }
    for results in table.results():
        named = results.get("settings", {}).get("checkpoint")
        assert named is None or named in shipped
