"""All tables of figures in README.md and docs/ are what bench/figures.py makes of bench/results."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

import figures
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.plots import plotted
from result_tables import TABLES, Table

TRACKER = "plugin/rasa_onramp/checkpoints/tracker/tracker.json"
REPLIES = "plugin/rasa_onramp/checkpoints/replies/replies.json"

REMEDY = "after new results: python bench/figures.py --write"

every_table = pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])


def name_of(page: Path) -> str:
    return page.relative_to(figures.ROOT).as_posix()


@pytest.mark.parametrize("page", figures.pages(), ids=name_of)
def test_pages_show_what_was_measured(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert figures.filled(text, page) == text, REMEDY


def test_the_page_of_results_shows_what_was_measured() -> None:
    assert figures.document() == figures.DOCUMENT.read_text(encoding="utf-8"), REMEDY


def test_plots_show_what_was_measured() -> None:
    drawn = {f"{name}.png": plotted(io.BytesIO(png)) for name, png in figures.plots().items()}
    there = {path.name: plotted(path) for path in figures.PLOTS.iterdir()}
    assert there == drawn, REMEDY


@every_table
def test_every_table_is_on_its_page(table: Table) -> None:
    page = figures.ROOT / table.page
    text = page.read_text(encoding="utf-8")
    if page == figures.DOCUMENT:
        assert (f"## {table.title}\n" in text) == bool(table.results())
        return
    if f"<!-- section: {table.name} -->" in text:
        return
    assert f"<!-- command: {table.name} -->" in text
    for part in table.all_parts:
        assert part.make is None or f"<!-- figures: {part.name} -->" in text


@pytest.mark.parametrize("page", figures.pages(), ids=name_of)
def test_no_table_of_figures_is_written_by_hand(page: Path) -> None:
    """One has intervals, spreads or cells of three decimals; what settings are has none."""
    text = page.read_text(encoding="utf-8")
    by_hand = re.sub(r"(?s)<!-- (figures|section): .*?<!-- end -->", "", text)
    measured = re.compile(r"\[[+-]?\d+\.\d+, |±|\| *\**\d\.\d{3}\** *\|")
    rows = [line for line in by_hand.splitlines() if line.startswith("|")]
    assert [row for row in rows if measured.search(row)] == []


@pytest.mark.parametrize("name", ["peers", "headline"])
def test_what_was_edited_by_hand_is_made_anew(name: str) -> None:
    page = figures.ROOT / "README.md"
    readme = page.read_text(encoding="utf-8")
    head, rest = readme.split(f"<!-- figures: {name} -->\n")
    edited = f"{head}<!-- figures: {name} -->\n0.99 by hand{rest[rest.index(chr(10)) :]}"
    assert edited != readme
    assert figures.filled(edited, page) == readme


def test_marks_of_each_kind() -> None:
    def filled(kind: str, name: str) -> str:
        page = figures.ROOT / "docs" / "components" / "any.md"
        return figures.filled(f"before\n<!-- {kind}: {name} -->\nold\n<!-- end -->\nafter\n", page)

    command = filled("command", "cost")
    assert "```sh\npython bench/cost.py --threads 1" in command and "old" not in command
    assert command.startswith("before\n") and command.endswith("<!-- end -->\nafter\n")
    assert "](../plots/rates-tracker.png)" in filled("figures", "rates-tracker")
    section = filled("section", "cost")
    assert section.index("bench/cost.py") < section.index("## Inner steps\n\n| inner steps |")
    for kind, name in (("figures", "sgdd"), ("section", "cost-steps"), ("command", "headline")):
        with pytest.raises(ConfigError, match=f"any.md: no table is called '{name}'"):
            filled(kind, name)


def test_what_was_not_measured_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Table, "results", lambda self, folder=None: [])
    page = figures.ROOT / "README.md"
    text = figures.filled("<!-- figures: few-shot -->\n1\n<!-- end -->", page)
    assert "[Not measured yet](docs/results.md#not-measured-yet)." in text
    whole = figures.document(tmp_path)
    assert whole.count("\n- ") == len(TABLES) and "## Not measured yet\n" in whole
    assert "- Robustness: `python bench/robustness.py --data $SGD/dev --paraphrases" in whole


#: Tables of what no checkpoint of ours has a part in, or a start of its own only, and of sums of
#: other tables.
WITHOUT_CHECKPOINT = (
    *("retrieval", "routing-many", "routing-own", "scaling-missed", "scaling-needs"),
    *("algorithms", "first-rates", "trained-ablations"),
)


@every_table
def test_results_are_of_what_ships(repository: Path, table: Table) -> None:
    """After a new checkpoint: run the commands in docs/results.md again."""
    shipped = {
        json.loads((repository / card).read_text(encoding="utf-8"))["sha256"]
        for card in (TRACKER, REPLIES)
    }
    for results in table.results():
        found = set() if table.name == "first-rates" else set(checkpoints(results))
        assert found <= shipped
        assert found or table.name in WITHOUT_CHECKPOINT


def test_first_rates_are_of_the_start_that_all_algorithms_go_on_from() -> None:
    rates, algorithms = (t.results() for t in TABLES if t.name in ("first-rates", "algorithms"))
    assert {each["settings"]["checkpoint"] for each in rates} == {
        each["settings"]["start"] for each in algorithms
    }


def checkpoints(found: Any) -> Iterator[str]:
    """All that results say of themselves, but for what was trained only to be compared; and what
    that training began with, where it says so of each part.
    """
    for value in found.values() if isinstance(found, dict) else found:
        if isinstance(value, (dict, list)):
            yield from checkpoints(value)
    if isinstance(found, dict) and isinstance(found.get("checkpoint"), str):
        compared = any(isinstance(found.get(name), str) for name in ("tracker", "replies"))
        if not compared:
            yield found["checkpoint"]
    if isinstance(found, dict) and isinstance(found.get("start"), dict):
        yield from found["start"].values()


#: Options that don't say what is measured, or whose value stands elsewhere in the results.
UNCOMPARED = {
    *("data", "json", "jobs", "resume", "generator", "own-split", "offers", "written", "services"),
    *("train", "paraphrases", "start", "runs", "sgd", "metric", "method", "methods", "conditions"),
    *("order-domains", "ranks", "only", "finetune-rate", "every"),
}
#: What results of these tables don't say of themselves.
UNSAID = {
    "replies-sgd": {"threads"},
    "replies-own": {"threads"},
    "sgd-x": {"seeds"},
    "cost": {"threads"},
    "first-rates": {"checkpoint"},  # a folder, and in results its digest
    "trained-ablations": {"encoders"},
}


@every_table
def test_commands_say_what_was_measured(table: Table) -> None:
    """Their options are the settings that the results have."""
    lines = re.sub(r"\\\n", " ", table.command).splitlines()
    commands = [line for line in lines if "rasa-onramp" in line or "bench/" in line]
    for path, results in zip(table.paths(), table.results()):
        (command,) = [each for each in commands if path.name in each]
        given = options(command)
        settings = results.get("settings", {})
        for name in given.keys() - UNCOMPARED - UNSAID.get(table.name, set()):
            known = settings[name.replace("-", "_")]
            told = ",".join(map(str, known)) if isinstance(known, list) else str(known)
            assert told == given[name], (name, command)
        for name, known in (("method", "methods"), ("services", "services")):
            value = given.get(name, "")
            if "," in value and known in settings and "$" not in value:
                assert sorted(value.split(",")) == sorted(settings[known]), (name, command)


def options(command: str) -> Dict[str, str]:
    """What follows each option of a command."""
    words: List[str] = shlex.split(command, comments=True)
    pairs = zip(words, [*words[1:], ""])
    return {name[2:]: value for name, value in pairs if name.startswith("--")}
