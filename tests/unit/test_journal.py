"""An evaluation that was interrupted goes on where it was, and only with what it began with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import pytest

from command_line import invoke
from measuring import journal_beside
from rasa_onramp.cli import evaluate_states
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.cli.measurements import digest_of
from rasa_onramp.dialogue import State
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.few_shot import Result, evaluate
from rasa_onramp.evaluation.journal import Journal
from rasa_onramp.evaluation.metrics import TurnScore
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.evaluation.result_json import result_from_json, result_to_json
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from tiny_tracker import CAFE, corpus, tiny_tracker, tokenizer_json, write_domains

SETTINGS = {"shots": (0, 1), "checkpoint": "abc"}
SCORES = (TurnScore("é", 1 / 3, None, 1.0, 0.1 + 0.2, True), TurnScore("é", None, 0.5, 0, 1, False))
STATES = (State({"day": ("5 pm", "17:00")}, "Book", ("name",)), None)
ONE = Result("é", "adapted", 1, 0, 1.25, (SCORES, ()), {"a": STATES, "b": ()}, 7)
TWO = replace(ONE, method="finetune", seed=1, steps=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.json.journal"


def journal(path: Optional[Path], settings: Any = SETTINGS, resume: bool = False) -> Journal:
    """One of an evaluation's results."""
    return Journal(path, settings, resume=resume, encode=result_to_json, decode=result_from_json)


def test_results_come_back_as_they_were(path: Path) -> None:
    first = journal(path)
    assert first.rows == []
    first.add([ONE, TWO])
    second = journal(path, resume=True)
    assert second.rows == [ONE, TWO]
    second.add([TWO])
    third = journal(path, resume=True)
    assert third.rows == [ONE, TWO, TWO]
    third.close()
    assert not path.exists()


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    kept = journal(None)
    kept.add([ONE])
    kept.close()
    assert kept.rows == [ONE] and list(tmp_path.iterdir()) == []


def test_a_line_that_was_cut_off_was_not_written(path: Path) -> None:
    begun = journal(path)
    header = path.read_bytes()
    begun.add([ONE])
    complete = path.read_bytes()
    begun.add([TWO])
    whole = path.read_bytes()
    for cut in (len(complete) + 1, len(whole) - 1):
        path.write_bytes(whole[:cut])
        again = journal(path, resume=True)
        assert again.rows == [ONE]
        assert path.read_bytes() == complete
        again.add([TWO])
        assert path.read_bytes() == whole
    for cut in (0, 1, len(header) - 1):  # not even its settings
        path.write_bytes(header[:cut])
        assert journal(path, resume=True).rows == []
        assert path.read_bytes() == header


def test_only_the_same_evaluation_goes_on(path: Path) -> None:
    journal(path).add([ONE])
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"out\.json\.journal holds what .* by --resume, or del"):
        journal(path)
    with pytest.raises(ConfigError, match=r"other settings \(shots \[0, 1\], not \[0, 2\]\)"):
        journal(path, {**SETTINGS, "shots": (0, 2)}, resume=True)
    with pytest.raises(ConfigError, match=r"other settings \(limit None, not 3\)"):
        journal(path, {**SETTINGS, "limit": 3}, resume=True)
    assert path.read_bytes() == before


def test_only_the_same_data_goes_on(path: Path) -> None:
    Journal(path, SETTINGS, data="one").add([{"n": 1}])
    before = path.read_bytes()
    with pytest.raises(
        ConfigError, match=r"other data \(a schema or a dialogue was changed since\); go"
    ):
        Journal(path, SETTINGS, data="two", resume=True)
    assert path.read_bytes() == before
    assert Journal(path, SETTINGS, data="one", resume=True).rows == [{"n": 1}]
    path.unlink()
    Journal(path, SETTINGS, data="one")
    with pytest.raises(ConfigError, match="begun and holds nothing yet; delete it, unless"):
        Journal(path, SETTINGS, data="one")
    with pytest.raises(ConfigError, match="since\\); as it holds nothing yet, delete it"):
        Journal(path, SETTINGS, data="two", resume=True)
    path.unlink()
    Journal(path, SETTINGS).add([{"n": 1}])
    with pytest.raises(ConfigError, match="other data"):
        Journal(path, SETTINGS, data="two", resume=True)


def test_one_that_holds_nothing_yet_may_be_deleted(path: Path) -> None:
    """What was asked for failed before anything was measured, or is being measured."""
    journal(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="begun and holds nothing yet; delete it, unless"):
        journal(path)
    with pytest.raises(
        ConfigError, match=r"settings \(limit None, not 3\); as it holds nothing yet"
    ):
        journal(path, {**SETTINGS, "limit": 3}, resume=True)
    assert path.read_bytes() == before
    assert journal(path, resume=True).rows == []


@pytest.mark.parametrize("line", ["7", "{}", "[{}]", "[[]]", "nonsense", '[{"method": "x"}]'])
def test_a_damaged_journal_is_one_clear_error(path: Path, line: str) -> None:
    journal(path)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(ConfigError, match=r"out\.json\.journal:2: not what an evaluation writes"):
        journal(path, resume=True)
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"out\.json\.journal:1: not what an evaluation writes"):
        journal(path, resume=True)


def beside(figures: Path, **settings: Any) -> Journal[Dict[str, Any]]:
    return journal_beside(figures, {**SETTINGS, **settings})[0]


def test_a_finished_measurement_is_added_to(path: Path) -> None:
    figures = path.with_suffix("")
    begun = beside(figures)
    begun.add([{"n": 1}])
    begun.add([{"n": 2}])
    assert beside(figures).rows == [{"n": 1}, {"n": 2}]  # it was stopped here
    found = {"settings": SETTINGS, "order": "any", "runs": begun.rows}
    write_figures(str(figures), found)
    # and here, before the journal was gone: what is in both counts once
    again, rest = journal_beside(figures, SETTINGS)
    assert again.rows == [{"n": 1}, {"n": 2}] and rest == {"order": "any"}
    again.close()
    assert beside(figures).rows == [{"n": 1}, {"n": 2}]
    more = beside(figures)
    more.add([{"n": 3}])
    assert beside(figures).rows == [{"n": 1}, {"n": 2}, {"n": 3}]
    with pytest.raises(ConfigError, match=r"out\.json is of .* \(limit None, not 3\); go on with"):
        beside(figures, limit=3)
    more.close()
    # results of before a setting was kept are added to; those that tell it must be of this one
    newer = beside(figures, precision="fp32")
    assert newer.rows[0] == {"n": 1}
    newer.close()
    write_figures(str(figures), {**found, "settings": {**SETTINGS, "precision": "bf16"}})
    with pytest.raises(ConfigError, match=r"\(precision 'bf16', not 'fp32'\)"):
        beside(figures, precision="fp32")


@pytest.mark.parametrize("text", ["7", "{}", '{"settings": {}, "runs": [7]}', "nonsense"])
def test_a_file_of_something_else_is_one_clear_error(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"out\.json\.journal holds no figures of this meas"):
        beside(path)
    assert path.read_text(encoding="utf-8") == text


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(rank=2, steps=2), folder, tokenizer_json())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One domain of four dialogues, in YAML."""
    return write_domains(tmp_path_factory.mktemp("data"), corpus(services=1, dialogues=4))


def test_evaluate_goes_on_where_it_was_interrupted(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    methods = ("adapted", "finetune-steps")
    command = (
        *("evaluate", "--data", data, "--checkpoint", checkpoint, "--json", out),
        *("--shots", "0,1", "--seeds", "3", "--method", ",".join(methods)),
    )
    assert invoke(*command).code == 0
    whole = json.loads(out.read_text(encoding="utf-8"))
    assert not Path(f"{out}.journal").exists()
    out.unlink()

    # interrupted: two of three splits are in the journal, and half a line
    protocol = Protocol(shots=(0, 1), seeds=2, methods=methods)
    found = read_all((str(data),), None)
    done = list(evaluate(load_tracker(str(checkpoint)), found, [CAFE.name], protocol))
    done = [replace(result, seconds=1000.0 + n) for n, result in enumerate(done)]
    kept = Path(f"{out}.journal")
    begun = Journal(
        kept,
        whole["settings"],
        data=digest_of(list(splits(found, [CAFE.name], replace(protocol, seeds=3)))),
        encode=result_to_json,
        decode=result_from_json,
    )
    for split in (done[:4], done[4:]):
        begun.add(split)
    with kept.open("a", encoding="utf-8") as file:
        file.write('[{"service": "ca')

    refused = invoke(*command)
    assert refused.code == 2 and "go on with it by --resume, or delete it" in refused.err
    other = invoke(*command, "--limit", "1", "--resume")
    assert other.code == 2 and "other settings (limit None, not 1)" in other.err
    resumed = invoke(*command, "--resume")
    assert (resumed.code, resumed.err) == (0, "")
    found = json.loads(out.read_text(encoding="utf-8"))
    assert not kept.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json"]

    # what was there was not measured again, the rest was, and all is as if never interrupted
    assert [run["seconds"] for run in found["runs"][:8]] == [1000.0 + n for n in range(8)]
    assert all(run["seconds"] < 1000 for run in found["runs"][8:])
    for run in (*whole["runs"], *whole["summary"], *found["runs"], *found["summary"]):
        del run["seconds"]
        run.pop("computed", None)  # a summary has none
    assert found == whole


def test_a_journal_of_other_data_is_refused(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = (
        *("evaluate", "--data", data, "--checkpoint", checkpoint, "--json", out),
        *("--shots", "0", "--seeds", "1", "--method", "zero-shot"),
    )
    assert invoke(*command).code == 0
    settings = json.loads(out.read_text(encoding="utf-8"))["settings"]
    journal(Path(f"{out}.journal"), settings)
    done = invoke(*command, "--resume")
    assert done.code == 2 and "other data" in done.err
    without = invoke("evaluate", "--data", data, "--checkpoint", checkpoint, "--resume")
    assert without.code == 2 and "goes with --json" in without.err


def test_data_that_was_edited_under_the_same_ids_is_refused(
    data: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether held out or support, and as it was it goes on."""
    mine, out = tmp_path / "data", tmp_path / "out.json"
    shutil.copytree(data, mine)
    command = (
        *("evaluate", "--data", mine, "--checkpoint", checkpoint, "--json", out),
        *("--shots", "1", "--seeds", "2", "--method", "zero-shot"),
    )

    def stopped(*what: Any, **how: Any) -> Iterator[Result]:
        yield next(evaluate(*what, **how))
        raise ConfigError("stopped by the test")

    with monkeypatch.context() as patch:
        patch.setattr(evaluate_states, "evaluate", stopped)
        assert "stopped by the test" in invoke(*command).err
    kept, (file,) = Path(f"{out}.journal"), mine.iterdir()
    before, text = kept.read_bytes(), file.read_text(encoding="utf-8")
    corpora = read_all((str(mine),), None)
    (split, _) = splits(corpora, [CAFE.name], Protocol(shots=(1,), seeds=2))
    for dialogue in (split.pool[0], split.held_out[0]):
        first, *rest = dialogue.turns
        other = replace(
            dialogue, turns=(replace(first, text=f"well, {first.text}", spans=()), *rest)
        )
        changed = tuple(other if each == dialogue else each for each in corpora.dialogues)
        write_yaml(file, corpora.schemas[CAFE.name], changed)
        refused = invoke(*command, "--resume")
        assert refused.code == 2 and "other data (a schema or a dialogue was changed" in refused.err
        assert kept.read_bytes() == before
    file.write_text(text, encoding="utf-8")
    assert invoke(*command, "--resume").code == 0
    assert "data" not in json.loads(out.read_text(encoding="utf-8"))  # as figures of before
