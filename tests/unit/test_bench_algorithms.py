"""bench/algorithms.py trains and measures what it says, goes on where it was, and its tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch

import algorithms
import side_by_side
from rasa_onramp.evaluation.few_shot import evaluate
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.metalearning.adaptation import Adaptation
from rasa_onramp.metalearning.algorithms import ALGORITHMS
from rasa_onramp.metalearning.inner_loop import initial_rates
from rasa_onramp.metalearning.training import MetaConfig
from rasa_onramp.tracker.checkpoint import save_tracker
from result_tables import Grid
from result_tables import algorithms as tables
from tiny_tracker import corpus, tiny_tracker, tokenizer_json, write_domains

CORPUS = corpus(services=2, dialogues=8)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What multi-task training leaves: no updates, no rates."""
    folder = tmp_path_factory.mktemp("start") / "multitask"
    save_tracker(tiny_tracker(seed=4), folder, tokenizer_json())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "tuning"
    folder.mkdir()
    return write_domains(folder, CORPUS)


def given(start: Path, data: Path, out: Path, *more: str) -> List[str]:
    options = ["--start", start, "--train", data, "--runs", out.parent / "runs", "--data", data]
    options += ["--services", "all", "--shots", "1,2", "--seeds", "1", "--limit", "2"]
    return [str(each) for each in (*options, "--json", out, *more)]


def test_every_algorithm_is_trained_alike(start: Path, data: Path) -> None:
    wanted = algorithms.trainings(algorithms.options_of(given(start, data, Path("any.json"))))
    assert {one.name for one in wanted} == {*ALGORITHMS, tables.LONGER}
    assert [ALGORITHMS[one.name].order for one in wanted[:3]] == [2, 2, 2]  # the longest first
    alike = {one.command[one.command.index("--meta-steps") :] for one in wanted[:-1]}
    assert len(alike) == 1 and wanted[-1].command[:3] == ("meta-train", "--stage", "multitask")
    assert all(one.command[one.command.index("--start") + 1] == str(start) for one in wanted)
    assert len({one.run for one in wanted}) == len(wanted)


@pytest.mark.parametrize("times", [1.0, 0.25])
def test_the_start_adapts_as_meta_training_begins(start: Path, times: float) -> None:
    tracker = side_by_side.load_all({"start": str(start)}, times)["start"]
    how, first = Adaptation.of(tracker), MetaConfig()
    assert (how.steps, how.optimiser) == (first.inner_steps, first.inner_optimiser)
    lora, heads = times * first.lora_rate, times * first.heads_rate
    begins = initial_rates(tracker.weights, first.inner_steps, lora=lora, heads=heads)
    assert tracker.rates.keys() == begins.keys() and any(".lora_" in name for name in begins)
    for name, rate in begins.items():
        torch.testing.assert_close(tracker.rates[name], rate)


def test_rows_are_what_the_protocol_measures(start: Path) -> None:
    protocol = Protocol(shots=(1, 2), seeds=1, limit=2)
    trackers = side_by_side.load_all({tables.START: str(start), "maml": str(start)})
    (one, _) = splits(CORPUS, list(CORPUS.schemas), protocol)
    rows = side_by_side.rows_of(trackers, (tables.START, one), protocol, ["maml"])
    by_hand = [
        result.row()
        for result in evaluate(trackers[tables.START], CORPUS, [one.schema.name], protocol)
    ]
    assert len(rows) == 6
    for row, expected in zip(rows, by_hand):
        same = ("service", "method", "shots", "seed", "steps", "dialogues")
        assert row["tracker"] == tables.START
        assert {k: row[k] for k in same} == {k: expected[k] for k in same}
    less = replace(protocol, shots=(1,))
    of_algorithm = side_by_side.rows_of(trackers, ("maml", one), less, ["maml"])
    assert [row["method"] for row in of_algorithm] == ["zero-shot", "adapted"]


def results() -> Dict[str, Any]:
    """One service, two support sets of one dialogue of four turns; what five shots bring."""
    jga = {
        (tables.START, "finetune"): 1.0,
        (tables.START, "adapted"): 2.0,
        (tables.LONGER, "finetune"): 2.0,
        (tables.LONGER, "adapted"): 2.0,
        ("reptile", "adapted"): 3.0,
    }
    runs = [
        {
            "tracker": tracker,
            "method": method,
            "service": "a",
            "seed": seed,
            "shots": 5,
            "steps": 8,
            "seconds": 2.0,
            "dialogues": [[4, value]],
        }
        for (tracker, how), most in jga.items()
        for method, value in (("zero-shot", 0.0), (how, most))
        for seed in (0, 1)
        if method != "zero-shot" or how == "adapted"
    ]
    how = {"meta_steps": 3, "episodes_a_step": 2, "inner_steps": 8, "longer_minutes": 1.5}
    how.update(shots=[5], seeds=2, seed=0, threads=1, data="sgd/dev")
    splits = [{"service": "a", "seed": seed, "held_out": [str(seed)]} for seed in (0, 1)]
    seconds = {"reptile": 90.0, tables.LONGER: None}
    return {"settings": how, "seconds": seconds, "splits": splits, "runs": runs}


def test_tables_by_hand() -> None:
    grid = tables.side_by_side([results()])
    assert grid is not None
    assert grid.header[:3] == ("", "no dialogue", "5 dialogues")
    none, three = "0.000 [0.000, 0.000]", "0.750 [0.750, 0.750]"
    more = "+0.250 [+0.250, +0.250]"  # of two trainings, so that none is tested
    assert grid.rows[-1] == ("reptile", none, three, more, more)
    assert [row[0] for row in grid.rows] == [
        *("multi-task, fine-tuned", "multi-task, first rates"),
        *("multi-task, longer, fine-tuned", "multi-task, longer, first rates", "reptile"),
    ]
    assert grid.rows[0][3] == "-0.250 [-0.250, -0.250]"
    assert grid.rows[2][3] == "" and grid.rows[2][4] == "+0.000 [+0.000, +0.000], p 1.000"
    assert tables.costs([results()]) == Grid(
        ("", "outer steps", "minutes of training", "steps on 5 dialogues", "seconds"),
        (
            *((row[0], "", "", "8", "2.0") for row in grid.rows[:-1]),
            ("reptile", "3", "1.5", "8", "2.0"),
        ),
    )
    assert tables.lacks([results()]) == [name for name in ALGORITHMS if name != "reptile"]
    told = tables.about([results()])
    assert told is not None and "3 outer steps of 2 episodes with 8 inner steps" in told
    assert "8 held-out turns of `a` (sgd/dev)" in told
