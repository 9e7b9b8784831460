"""bench/reply_learning.py: what it measures, how it goes on, and its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

import measuring
import reply_learning
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.generator.checkpoint import save_replies
from reply_learning import RECOMMENDED, Setting
from result_tables.replies import learned
from tiny_replies import SCHEMA, corpus, tiny_model, write_folder

pytest.importorskip("sacrebleu")

TRIED = (RECOMMENDED, Setting(1.0), Setting(1e-2, 1))


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Arguments that name a tiny initialisation and a domain."""
    model = tiny_model()
    model.name = str(write_folder(tmp_path / "model"))
    model.weights = model.initial_weights(rank=2)
    adaptation = {"steps": 2, "rate_scale": 50.0, "dialogues_a_step": 1, "optimiser": "adam"}
    model.card["adaptation"] = adaptation
    model.rates = {name: model.weights[name].new_full((2,), 1e-3) for name in model.weights}
    save_replies(model, tmp_path / "replies")
    (tmp_path / "data").mkdir()
    write_yaml(tmp_path / "data" / "parcels.yml", SCHEMA, corpus(7).dialogues)
    monkeypatch.setattr(reply_learning, "SETTINGS", TRIED)
    paths = {"data": "data", "checkpoint": "replies", "json": "out.json"}
    found = [each for key, name in paths.items() for each in (f"--{key}", str(tmp_path / name))]
    return [*found, "--limit", "1", "--jobs", "1"]


@pytest.mark.timeout(900)
def test_settings_are_measured_on_the_same_replies(
    given: List[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """And gone on with after an interruption."""
    handed: List[int] = []
    measure = measuring.in_processes

    def noted(work: Any, pieces: Any, **how: Any) -> Any:
        handed.append(len(pieces))
        found = measure(work, pieces, **how)
        yield next(found)
        if len(handed) == 1:
            raise ConfigError("stopped by the test")
        yield from found

    monkeypatch.setattr(measuring, "in_processes", noted)
    with pytest.raises(ConfigError, match="stopped by the test"):
        reply_learning.main(given)
    reply_learning.main(given)
    assert handed == [3, 2]
    figures = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    rows: Dict[str, Any] = {row["method"]: row for row in figures["summary"]}
    assert list(rows) == [setting.name for setting in TRIED]
    assert {row["replies"] for row in rows.values()} == {figures["runs"][0]["replies"]} != {0}
    best, slow = rows[TRIED[0].name], rows[TRIED[1].name]
    assert "recommended_minus" not in best
    minus = slow["recommended_minus"]["bleu"][0]
    assert minus == pytest.approx(best["bleu"] - slow["bleu"], abs=1e-4)
    assert "AdamW at 0.01, 1 epochs" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("out*")] == ["out.json"]


def test_table_by_hand() -> None:
    figures = {"replies": 9, "bleu": 40.0, "slot_error_rate": 0.25}
    tried = {**figures, "method": Setting(5e-4, 2).name, "bleu": 37.0}
    tried["recommended_minus"] = {"bleu": [3, 1, 5], "slot_error_rate": [None] * 3}
    best = {**figures, "method": Setting(3.0).name}
    settings = {"services": ["a", "b"], "data": "x/dev"}
    own = {"settings": {**settings, "data": "own"}, "summary": [best]}
    grid = learned([{"settings": settings, "summary": [tried, best]}, own])
    assert grid.rows == (
        ("adapted, rates x 3", "40.0", "0.25", "40.0", "0.25"),
        ("AdamW at 0.0005, 2 epochs", "37.0 (**+3.0 [+1.0, +5.0]**)", "0.25", "", ""),
    )
    assert grid.header == ("", *("x/dev: BLEU", "slot error rate", "own: BLEU", "slot error rate"))
    assert "x/dev: 9 replies of 2 domains. own: 9 replies of 2 domains." in grid.note
