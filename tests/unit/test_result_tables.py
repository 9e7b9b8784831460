"""Tables and page made of results whose figures are known."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List

import pytest

import figures
import results_page
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.plots import plotted
from result_tables import TABLES, Grid, Part, Table, markdown, tracker, tracker_sentences

PNG = b"\x89PNG\r\n\x1a\n"


def run(service: str, method: str, shots: int, seed: int, jga: float, turns: int) -> Dict[str, Any]:
    half = [turns // 2, jga * (turns // 2)]
    return {
        "service": service,
        "method": method,
        "shots": shots,
        "seed": seed,
        "jga": jga,
        "turns": turns,
        "seconds": 2.0 * shots,
        "steps": 6 * shots,
        "dialogues": [half, half],
    }


@pytest.fixture
def results() -> Dict[str, Any]:
    """Two services, three support sets each; adapting gains 0.3 everywhere, fine-tuning 0.1."""
    runs = [
        run(service, method, shots, seed, jga + (gain if shots else 0), turns)
        for service, jga, turns in (("a", 0.5, 30), ("b", 0.1, 10))
        for seed in (0, 1, 2)
        for shots in (0, 1, 5)
        for method, gain in (("zero-shot", 0.0), ("finetune", 0.1), ("adapted", 0.3))
    ]
    splits = [
        {"service": service, "seed": seed, "support": [], "held_out": [f"{seed}-1", f"{seed}-2"]}
        for service in "ab"
        for seed in (0, 1, 2)
    ]
    return {"settings": {"data": ["<dev>"], "seeds": 3}, "splits": splits, "runs": runs}


def lines(grid: Grid) -> List[str]:
    return markdown(grid).splitlines()


def test_five_dialogues_by_hand(results: Dict[str, Any]) -> None:
    found = lines(tracker.five([results]))
    assert found[:2] == ["| | JGA | mean of services | seconds |", "|---|---|---|---|"]
    assert found[2] == "| zero-shot (schema only) | 0.400 ± 0.000 | 0.300 | 10.0 |"
    assert found[4] == "| adapted on 5 dialogues | 0.700 ± 0.000 | 0.600 | 10.0 |"
    # what differs by as much everywhere has no spread
    assert found[6] == "| adapted minus plain fine-tuning | +0.200 [+0.200, +0.200] | | |"
    told = tracker_sentences.headline([results])
    assert "40% with the schema alone, **70% after 5 dialogues**" in told
    assert "(50%\nby plain fine-tuning" in told
    assert "40% and 70% (50% by plain" in tracker_sentences.own_headline([results])


def test_services_of_a_new_kind_are_told_apart(
    results: Dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in results["runs"]:
        row["service"] = {"a": "Hotels_4", "b": "Alarm_1"}[row["service"]]
    told = tracker_sentences.kinds([results])
    assert told.startswith("1 of these 2 services have a sibling")
    alone = [row for row in results["runs"] if row["service"] == "Alarm_1" and row["shots"] == 5]
    adapted = next(row["jga"] for row in alone if row["method"] == "adapted")
    assert f"Alarm_1, which has none, {alone[0]['jga']:.3f} and {adapted:.3f}; the others" in told
    monkeypatch.setattr(tracker_sentences, "_trained_services", lambda: ["Alarm_9", "Hotels_1"])
    assert tracker_sentences.kinds([results]).startswith("Each of these services has a sibling")


def test_where_adapting_is_behind_is_told_service_by_service(results: Dict[str, Any]) -> None:
    assert "zero-shot (schema only) on none;\nplain" in tracker_sentences.behind([results])
    for row in results["runs"]:
        if (row["service"], row["method"], row["shots"]) == ("b", "finetune", 5):
            row["jga"] += 0.25
    assert "plain fine-tuning on b (0.050)." in tracker_sentences.behind([results])


def test_single_values_are_means_over_turns() -> None:
    rows = [
        {"method": "adapted", "shots": 5, "turns": turns, **figures}
        for turns, figures in (
            (30, {"average_goal_accuracy": 0.9, "intent_accuracy": 0.5}),
            (10, {"average_goal_accuracy": 0.5, "intent_accuracy": 0.1}),
        )
    ]
    other = {"method": "finetune", "shots": 5, "turns": 99, "average_goal_accuracy": 0.0}
    told = tracker_sentences.single_values([{"summary": [*rows, other]}])
    assert "80% right" in told and "intents 40%" in told


def test_files_are_joined(results: Dict[str, Any]) -> None:
    parts = [
        {
            key: [row for row in results[key] if row["service"] == service]
            for key in ("splits", "runs")
        }
        for service in "ab"
    ]
    for make in (tracker.five, tracker.by_size, tracker.costs, tracker.by_service):
        assert make(parts) == make([results])


def test_a_whole_curve_with_its_plot(results: Dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "few_shot_sgd_dev.json").write_text(json.dumps(results), encoding="utf-8")
    (found,) = (table for table in TABLES if table.name == "few-shot")
    assert [part.name for part, _ in found.shown([results])] == [
        *("few-shot", "few-shot-costs", "few-shot-five", "few-shot-services"),
    ]
    text = figures.document(tmp_path)
    assert "| adapted minus plain fine-tuning | | +0.200 [+0.200, +0.200], p 0.031 |" in text
    assert "](plots/few-shot.png)" in text
    drawn = figures.plots(tmp_path)
    assert list(drawn) == ["few-shot"]
    same = plotted(io.BytesIO(drawn["few-shot"]))
    assert len(same) == 64 and same == plotted(io.BytesIO(figures.plots(tmp_path)["few-shot"]))
    for row in results["runs"]:
        row["dialogues"] = [[n, jga * 0.9] for n, jga in row["dialogues"]]
    (tmp_path / "few_shot_sgd_dev.json").write_text(json.dumps(results), encoding="utf-8")
    assert plotted(io.BytesIO(figures.plots(tmp_path)["few-shot"])) != same


def test_a_run_counts_once(results: Dict[str, Any]) -> None:
    again = {"splits": results["splits"][:1], "runs": results["runs"][:1]}
    with pytest.raises(ConfigError, match="2 runs of a, seed 0, 0 dialogues, zero-shot in the"):
        tracker.five([results, again])


def test_a_method_that_was_not_measured_on_a_service_is_named(results: Dict[str, Any]) -> None:
    results["runs"] = [
        r for r in results["runs"] if (r["service"], r["method"]) != ("b", "adapted")
    ]
    with pytest.raises(ConfigError, match="adapted has no run of b, seed 0, 0 dialogues, which"):
        tracker.by_size([results])


def test_a_service_without_slots_has_no_jga(results: Dict[str, Any]) -> None:
    for row in results["runs"]:
        if row["service"] == "b":
            row.update(jga=None, dialogues=[[0, 0.0]] * 2)
    found = lines(tracker.five([results]))
    assert found[2] == "| zero-shot (schema only) | 0.500 ± 0.000 | 0.500 | 10.0 |"
    assert found[6] == "| adapted minus plain fine-tuning | +0.200 [+0.200, +0.200] | | |"
    assert lines(tracker.by_service([results]))[3] == "| b | | | |"
    del results["splits"]
    assert lines(tracker.by_size([results]))[4].startswith("| adapted | 0.500 [")


def test_what_intervals_are_drawn_over_is_told(results: Dict[str, Any]) -> None:
    said = "Intervals are 95%, by bootstrap over {}, services as they are."
    assert tracker.five([results]).note == said.format("support sets and dialogues")
    apart = {"runs": [{**r, "service": r["service"] * 2} for r in results["runs"]]}
    both = "support sets and, where the files tell them apart, dialogues"
    assert tracker.five([results, apart]).note == said.format(both)
    assert tracker.five([apart]).note == said.format("support sets")
    assert tracker.by_size([apart]).note.startswith(said.format("support sets") + " p is of a")


def test_orders_of_one_support_set_are_not_several(results: Dict[str, Any]) -> None:
    """Seeds of an own split: the same dialogues, held out and learned from."""
    results["settings"]["own_split"] = True
    for split in results["splits"]:
        split["held_out"] = ["1", "2"]
    assert "over held-out dialogues, services" in tracker.by_size([results]).note
    # of two services' signs there are 4 ways, too few for any p to tell
    assert tracker.by_size([results]).rows[3][2] == "+0.300 [+0.300, +0.300]"
    assert "p is of" not in tracker.by_size([results]).note
    del results["splits"]
    assert tracker.by_size([results]).rows[2][1:] == ("0.400", "0.700", "0.700")
    assert tracker.by_size([results]).rows[3][1:] == ("", "+0.300", "+0.300")
    assert tracker.five([results]).rows[-1][1] == "+0.200"
    assert tracker.five([results]).note.startswith("No intervals: all orders have the same")


def test_support_sizes_by_hand(results: Dict[str, Any]) -> None:
    grid = tracker.by_size([results])
    assert grid.header == ("JGA", "0 dialogues", "1 dialogue", "5 dialogues")
    assert [row[0] for row in grid.rows] == [
        *("zero-shot (schema only)", "plain fine-tuning", "adapted"),
        *("adapted minus zero-shot", "adapted minus plain fine-tuning"),
        "plain fine-tuning minus zero-shot",
    ]
    adapted = grid.rows[2]
    assert [cell[:6] for cell in adapted[1:]] == ["0.400 ", "0.700 ", "0.700 "]
    # six support sets that all gain: both extremes of the 64 ways to give them a sign
    assert grid.rows[3][1:] == ("", *["+0.300 [+0.300, +0.300], p 0.031"] * 2)
    assert grid.rows[5][1:] == ("", *["+0.100 [+0.100, +0.100], p 0.031"] * 2)


def test_what_learning_takes_by_hand(results: Dict[str, Any]) -> None:
    assert lines(tracker.costs([results])) == [
        "| learning | 1 dialogue | 5 dialogues |",
        "|---|---|---|",
        "| plain fine-tuning | 2.0 s, 6 steps | 10.0 s, 30 steps |",
        "| adapted | 2.0 s, 6 steps | 10.0 s, 30 steps |",
    ]
    for row in results["runs"]:
        del row["steps"]
    assert lines(tracker.costs([results]))[2] == "| plain fine-tuning | 2.0 s | 10.0 s |"


def test_services_by_hand(results: Dict[str, Any]) -> None:
    assert lines(tracker.by_service([results]))[2:] == [
        "| a | 0.500 | 0.600 | 0.800 |",
        "| b | 0.100 | 0.200 | 0.400 |",
    ]


def test_methods_that_the_tables_have_no_name_for(results: Dict[str, Any]) -> None:
    results["runs"] += [
        {**row, "method": "nearest"} for row in results["runs"] if row["method"] == "adapted"
    ]
    names = [row[0] for row in tracker.five([results]).rows]
    assert names[2] == "nearest on 5 dialogues"
    assert names[-1] == "adapted minus nearest"


def test_names_are_told_apart() -> None:
    names = [part.name for table in TABLES for part in table.all_parts]
    assert len(names) == len(set(names))


class Page(HTMLParser):
    """Which elements are open, and what the page refers to."""

    VOID = ("meta", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: List[str] = []
        self.ids: List[str] = []
        self.links: List[str] = []
        self.images: List[str] = []
        self.cells: List[str] = []
        self.elements: List[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: List) -> None:
        given = dict(attrs)
        self.elements.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for key, found in (("id", self.ids), ("href", self.links), ("src", self.images)):
            if key in given:
                found.append(given[key])
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


@pytest.fixture
def folder(results: Dict[str, Any], tmp_path: Path) -> Path:
    (tmp_path / "few_shot_sgd_dev.json").write_text(json.dumps(results), encoding="utf-8")
    (tmp_path / "a&b.json").write_text("{}", encoding="utf-8")
    return tmp_path


def test_the_page_is_whole_and_loads_nothing(folder: Path, results: Dict[str, Any]) -> None:
    text, unknown = results_page.page(folder)
    assert unknown == ["a&b.json"] and "<li>a&amp;b.json</li>" in text
    found = Page(text)
    assert found.open == []
    assert found.ids == ["few-shot", "few-shot-costs", "few-shot-five", "few-shot-services"]
    assert found.links == ["#few-shot"]
    assert not {"script", "link", "iframe", "object"} & set(found.elements)
    assert "http:" not in text and "https:" not in text and "url(" not in text
    (image,) = found.images
    kind, _, data = image.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data, validate=True).startswith(PNG)
    # every cell of the tables, with what the run was asked to do
    for make in (tracker.by_size, tracker.costs, tracker.by_service):
        for row in make([results]).rows:
            assert set(row) <= set(found.cells)
    assert "&lt;dev&gt;" in text and "<dev>" not in text
    assert "rasa-onramp evaluate --data $SGD/dev" in text


def test_the_command_writes_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out = folder / "results.html"
    command = ["results_page.py", "--results", str(folder), "--out", str(out)]
    monkeypatch.setattr("sys.argv", command)
    results_page.main()
    assert out.read_text(encoding="utf-8") == results_page.page(folder)[0]
    assert capsys.readouterr().err == "a&b.json: no table is made of it, left out\n"
    (folder / "few_shot_sgd_dev.json").unlink()
    with pytest.raises(SystemExit, match="has no results that a table is made of"):
        results_page.main()


def test_the_document_has_a_part_for_each_table(folder: Path) -> None:
    text = figures.document(folder)
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == [f"## {tracker.TABLES[0].title}", "## Not measured yet"]
    assert "From `few_shot_sgd_dev.json`." in text
    assert "+0.200 [+0.200, +0.200]" in text
    assert text.index("--seeds 5 --limit 6") < text.index("### What learning takes")


def test_a_table_of_your_own(folder: Path) -> None:
    (folder / "mine_1.json").write_text('{"x": 1}', encoding="utf-8")
    (folder / "mine_2.json").write_text('{"x": 2}', encoding="utf-8")

    def make(found: List[Dict[str, Any]]) -> Grid:
        return Grid(("sum",), ((str(sum(one["x"] for one in found)),),))

    parts = (Part("said", "Said", lambda found: "of `these` **two**", "About it."),)
    table = Table("mine", "Mine", "x < y.", ("mine_*.json",), "mine.py", make, parts=parts)
    text, unknown = results_page.page(folder, [table])
    assert Page(text).cells == ["sum", "3"]
    assert "<p>of <code>these</code> <b>two</b></p>" in text
    assert "x &lt; y. From mine_1.json, mine_2.json." in text
    assert unknown == ["a&b.json", "few_shot_sgd_dev.json"]
    with pytest.raises(ConfigError, match="no results that a table is made of"):
        results_page.page(folder / "nowhere", [table])
