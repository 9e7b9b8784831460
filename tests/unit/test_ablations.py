"""bench/ablations.py measures what it says, goes on where it stopped, and sums up rightly."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List

import pytest

from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.few_shot import evaluate
from rasa_onramp.evaluation.metrics import aggregate
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.metalearning.adaptation import Adaptation
from rasa_onramp.metalearning.finetuning import FineTuning
from rasa_onramp.metalearning.precision import computing
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from result_tables import Grid
from result_tables import ablations as tables
from tiny_tracker import corpus, tiny_tracker, write_domains

CORPUS = corpus(services=2, dialogues=8)


@pytest.fixture(scope="module")
def settings(repository: Path) -> ModuleType:
    return importlib.import_module("ablation_settings")


@pytest.fixture(scope="module")
def ablations(repository: Path) -> ModuleType:
    return importlib.import_module("ablations")


@pytest.fixture(scope="module")
def table(repository: Path) -> ModuleType:
    return importlib.import_module("ablation_summary")


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    tracker = tiny_tracker(seed=6, rank=2, steps=2, spread=3.0)
    return replace(tracker, digest="a digest", card={"adaptation": {"steps": 2}})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "tuning"
    folder.mkdir()
    return write_domains(folder, CORPUS)


def found(path: Path) -> Dict[str, Any]:
    result: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def run(ablations: ModuleType, tracker: StateTracker, data: Path, out: Path, *more: str) -> None:
    given = ["--data", str(data), "--services", "all", "--limit", "2", "--json", str(out), *more]
    ablations.main(given, tracker)


def test_every_setting_differs_from_the_shipped_default(settings: ModuleType) -> None:
    everything = settings.named(None)
    assert len({setting.name for setting in everything}) == len(everything)
    shipped = load_tracker()
    default = Adaptation.of(shipped, offers=True)
    for setting in [each for each in everything if each.method == "finetune"]:
        tuned = setting.protocol(Protocol()).finetuning
        assert (tuned == FineTuning()) == (setting == settings.Setting(method="finetune")), (
            setting.name
        )
    for setting in [each for each in everything if each.method != "finetune"]:
        changed = Adaptation.of(shipped, offers=setting.offers, **setting.changes)
        plain = setting.described and setting.history is None
        same = setting == settings.Setting(method=setting.method)
        assert same or not plain or changed != default, setting.name
        assert all(getattr(changed, name) == value for name, value in setting.changes.items())


def test_settings_come_after_what_they_are_compared_with(settings: ModuleType) -> None:
    names = [setting.name for setting in settings.named("offers,steps")]
    assert names == [
        "default",
        "zero-shot",
        "zero-shot, no offers",
        "no offers",
        *("steps 4", "steps 8", "steps 32"),
    ]
    with pytest.raises(ConfigError, match="no ablation 'stepps'; choose of steps, epochs"):
        settings.named("stepps")


def test_without_descriptions_names_remain(settings: ModuleType) -> None:
    schema = next(iter(CORPUS.schemas.values()))
    bare = settings.undescribed(schema)
    told = [bare, *bare.slots, *bare.intents, *bare.actions]
    assert {item.description for item in told} == {""}
    assert [s.name for s in bare.slots] == [s.name for s in schema.slots]
    assert bare.slots[1].values == schema.slots[1].values
    assert bare.intents[0].required_slots == schema.intents[0].required_slots


def test_a_row_is_what_the_protocol_measures(
    ablations: ModuleType, settings: ModuleType, tracker: StateTracker
) -> None:
    protocol = Protocol(shots=(5,), seeds=1, limit=2)
    (one, _) = splits(CORPUS, list(CORPUS.schemas), protocol)
    setting = settings.Setting({"runs": 2, "adapts": "heads"}, offers=False, history=2)
    row = ablations.row_of(tracker, (setting, one), protocol)
    by_hand = replace(
        protocol, methods=("adapted",), adaptation={"runs": 2, "adapts": "heads"}, history=2
    )
    data = Corpus({one.schema.name: one.schema}, CORPUS.dialogues)
    (result,) = evaluate(tracker, data, [one.schema.name], by_hand)
    assert row["setting"] == "runs 2, adapts heads, no offers, history 2"
    assert (row["service"], row["seed"]) == (one.schema.name, 0)
    assert list(row["dialogues"]) == [d.id for d in one.held_out]
    figures = aggregate(result.scores)
    jga, turns, goal, defined = (sum(values) for values in zip(*row["dialogues"].values()))
    assert turns == defined == 6
    assert jga / turns == pytest.approx(figures.jga, abs=1e-4)
    assert goal / defined == pytest.approx(figures.average_goal_accuracy, abs=1e-4)


def test_fine_tuning_is_measured_by_its_own_settings(
    ablations: ModuleType, settings: ModuleType, tracker: StateTracker
) -> None:
    protocol = Protocol(shots=(5,), seeds=1, limit=2)
    (one, _) = splits(CORPUS, list(CORPUS.schemas), protocol)
    setting = settings.Setting({"rate": 5e-3, "epochs": 2}, method="finetune")
    row = ablations.row_of(tracker, (setting, one), protocol)
    by_hand = replace(
        protocol, methods=("finetune",), offers=True, finetuning=FineTuning(rate=5e-3, epochs=2)
    )
    data = Corpus({one.schema.name: one.schema}, CORPUS.dialogues)
    (result,) = evaluate(tracker, data, [one.schema.name], by_hand)
    assert row["setting"] == "finetune, rate 0.005, epochs 2" and result.steps == 10
    jga = sum(sums[0] for sums in row["dialogues"].values())
    assert jga / 6 == pytest.approx(aggregate(result.scores).jga, abs=1e-4)


def measured_again(*piece: Any, **protocol: Any) -> None:
    raise AssertionError("measured what is there already")


def test_it_goes_on_where_it_was_stopped(
    ablations: ModuleType, tracker: StateTracker, data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    out = tmp_path / "results" / "found.json"
    run(ablations, tracker, data, out, "--only", "runs,offers", "--minutes", "0")
    (first,) = found(out)["runs"]
    assert first["setting"] == "default"
    run(ablations, tracker, data, out, "--only", "runs,offers")
    whole = found(out)
    assert whole["runs"][0] == first
    keys = [(row["setting"], row["service"], row["seed"]) for row in whole["runs"]]
    assert len(keys) == len(set(keys)) == 7 * 2
    assert {line["support_sets"] for line in whole["summary"]} == {2}
    # all is measured: nothing is measured again, and nothing changes
    monkeypatch.setattr(ablations, "row_of", measured_again)
    before = out.read_bytes()
    run(ablations, tracker, data, out, "--only", "runs,offers")
    assert out.read_bytes() == before


def test_what_was_measured_otherwise_is_not_mixed_in(
    ablations: ModuleType, tracker: StateTracker, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found.json"
    run(ablations, tracker, data, out, "--only", "offers", "--minutes", "0")
    with pytest.raises(ConfigError, match=r"found\.json is of .* \(limit 2, not 1\)"):
        run(ablations, tracker, data, out, "--only", "offers", "--limit", "1")
    other = replace(tracker, digest="another")
    with pytest.raises(ConfigError, match="checkpoint 'a digest', not 'another'"):
        run(ablations, other, data, out, "--only", "offers")


def test_settings_are_recorded(
    ablations: ModuleType, tracker: StateTracker, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found.json"
    run(ablations, tracker, data, out, "--only", "offers", "--minutes", "0")
    assert found(out)["settings"] == {
        "data": f"{data.parent.name}/tuning",
        "shots": 5,
        "limit": 2,
        "default": asdict(Adaptation(steps=2, offers=True)),
        **computing("cpu"),
        "finetune": FineTuning().as_settings,
        "checkpoint": "a digest",
    }


def test_the_domains_of_reported_figures_are_refused(
    ablations: ModuleType, tracker: StateTracker, repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="dialogue_data is what figures are reported on"):
        run(ablations, tracker, repository / "dialogue_data", tmp_path / "found.json")


def rows(setting: str, *jga: float, seed: int = 0) -> List[Dict[str, Any]]:
    """A service's dialogues of two turns each, with so much JGA in sum; half of them set a slot."""
    dialogues = {f"d{number}": [value, 2, value / 2, 1] for number, value in enumerate(jga)}
    return [{"setting": setting, "service": "a", "seed": seed, "dialogues": dialogues}]


def test_summary_by_hand(table: ModuleType, settings: ModuleType) -> None:
    measured = [
        *rows("default", 1.0, 2.0),
        *rows("steps 4", 0.0, 1.0),
        *rows("default", 2.0, 2.0, seed=1),  # a support set that the other wasn't measured on
    ]
    default, four = table.summary(measured, settings.named("steps")[:2])
    assert default == {
        "setting": "default",
        "base": "default",
        "services": 1,
        "support_sets": 2,
        "turns": 8,
        "jga": 0.875,
        "goal_accuracy": 0.875,
    }
    assert (four["jga"], four["turns"], four["support_sets"]) == (0.25, 4, 1)
    # each dialogue loses one of its two turns, so every sample loses half
    assert four["jga_minus_base"] == four["goal_accuracy_minus_base"] == [-0.5, -0.5, -0.5]
    results = {"settings": {"data": "any/corpus", "shots": 5}, "summary": [default, four]}
    told = ("0.250", "**-0.500 [-0.500, -0.500]**")
    assert tables.ablation([results], "steps") == Grid(
        ("", "any/corpus: JGA", "minus default", "goal accuracy", "minus default", "sets"),
        (
            ("default", "0.875", "", "0.875", "", "2"),
            ("steps 4", *told, *told, "1"),
        ),
    )
    assert tables.ablation([results], "runs") is None
    assert "averaged runs" in tables.lacks([results]) and "inner steps" not in tables.lacks(
        [results]
    )


def test_corpora_stand_side_by_side() -> None:
    def results(data: str, *names: str, shots: int = 5) -> Dict[str, Any]:
        line = {"jga": 0.5, "goal_accuracy": 0.5, "support_sets": 1}
        minus = {"jga_minus_base": [0, -1, 1], "goal_accuracy_minus_base": [0, -1, 1]}
        lines = [{"setting": n, **line, **(minus if n != "default" else {})} for n in names]
        return {"settings": {"data": data, "shots": shots}, "summary": lines}

    dev = results("training_data/dev", "default", "runs 2")
    grid = tables.ablation([dev, results("sgd/dev", "default", "runs 4")], "runs")
    assert grid is not None and len(grid.header) == 11
    assert grid.header[1::5] == ("hand-written dev domains: JGA", "SGD dev: JGA")
    default, two, _ = grid.rows
    assert default[6:] == ("0.500", "", "0.500", "", "1") and two[6:] == ("",) * 5
    # what measured none of them has no column, and other numbers of dialogues are named
    one = results("training_data/dev", "default", "runs 2", shots=1)
    grid = tables.ablation([dev, results("sgd/dev", "default"), one], "runs")
    assert grid is not None
    assert grid.header[1::5] == (
        *("hand-written dev domains: JGA", "hand-written dev domains, 1 dialogue: JGA"),
    )


def test_summaries_are_those_of_their_runs(
    table: ModuleType, settings: ModuleType, monkeypatch: Any
) -> None:
    monkeypatch.setattr(table, "RESAMPLES", 40)  # intervals take their time; values don't
    results = tables.TABLE.results()
    assert results
    for result in results:
        again = table.summary(result["runs"], settings.named(None))
        for old, new in zip(result["summary"], again):
            for name in ("jga_minus_base", "goal_accuracy_minus_base"):
                assert old.pop(name, [0])[0] == new.pop(name, [0])[0]
            assert old == new
        assert len(again) == len(result["summary"])
