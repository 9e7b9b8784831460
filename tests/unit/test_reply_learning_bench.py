"""bench/reply_finetuning.py: what it measures, how it goes on, and its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

import reply_finetuning
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.generator.checkpoint import save_replies
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning
from result_tables.replies import finetuned
from tiny_replies import SCHEMA, corpus, tiny_model, write_folder

pytest.importorskip("sacrebleu")

TRIED = (ReplyFineTuning(rate=1e-3, epochs=1), ReplyFineTuning(rate=1e-2, epochs=2))


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny initialisation; the bench's domains are one that it can be judged by and another."""
    model = tiny_model()
    model.name = str(write_folder(tmp_path / "model"))
    model.weights = model.initial_weights(rank=2)
    model.card["adaptation"] = {"steps": 2, "dialogues_a_step": 1, "optimiser": "adam"}
    model.rates = {name: model.weights[name].new_full((2,), 1e-3) for name in model.weights}
    save_replies(model, tmp_path / "replies")
    (tmp_path / "dev").mkdir()
    for name in ("a.yml", "b.yml"):
        write_yaml(tmp_path / "dev" / name, SCHEMA, corpus(7).dialogues)
    monkeypatch.setattr(reply_finetuning, "DEV", tmp_path / "dev")
    monkeypatch.setattr(reply_finetuning, "SETTINGS", TRIED)
    return tmp_path / "replies"


def test_settings_are_measured_on_the_same_replies(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """And gone on with after an interruption."""
    out = tmp_path / "out.json"
    given = ["--checkpoint", str(checkpoint), "--limit", "1", "--jobs", "1", "--json", str(out)]
    handed: List[int] = []
    measure = reply_finetuning.in_processes

    def noted(work: Any, pieces: Any, **how: Any) -> Any:
        handed.append(len(pieces))
        found = measure(work, pieces, **how)
        yield next(found)
        if len(handed) == 1:
            raise ConfigError("stopped by the test")
        yield from found

    monkeypatch.setattr(reply_finetuning, "in_processes", noted)
    with pytest.raises(ConfigError, match="stopped by the test"):
        reply_finetuning.main(given)
    reply_finetuning.main(given)
    assert handed == [3, 2]  # one domain of two
    figures = json.loads(out.read_text(encoding="utf-8"))
    adapted, *settings = figures["summary"]
    assert adapted["method"] == "adapted"
    assert [(row["rate"], row["epochs"]) for row in settings] == [(1e-3, 1), (1e-2, 2)]
    assert {row["replies"] for row in figures["summary"]} == {adapted["replies"]} != {0}
    assert settings[0]["adapted_minus_bleu"][0] == pytest.approx(
        adapted["bleu"] - settings[0]["bleu"], abs=1e-4
    )
    assert "0.001 for 1 epochs" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("out*")] == ["out.json"]


def test_table_by_hand() -> None:
    figures = {"replies": 9, "bleu": 40.0, "slot_error_rate": 0.25, "adapting_seconds": 12.6}
    minus = {"adapted_minus_bleu": [3, 1, 5], "adapted_minus_slot_error_rate": [0, -1, 1]}
    tried = {**figures, **minus, "rate": 5e-4, "epochs": 2, "bleu": 37.0}
    settings = {"services": ["a", "b"], "data": "x/dev", "shots": 5, "limit": 3}
    grid = finetuned([{"settings": settings, "summary": [figures, tried]}])
    assert grid.rows == (
        (
            *("0.0005 for 2 epochs", "37.0", "**+3.0 [+1.0, +5.0]**", "0.25"),
            *("+0.00 [-1.00, +1.00]", "13"),
        ),
        ("adapted", "40.0", "", "0.25", "", "13"),
    )
    assert "9 replies of up to 3 held-out dialogues of each of 2 domains of x/dev" in grid.note
