"""bench/joint.py from a start to its file of figures, on models small enough for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import joint
import trainings
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.generator.checkpoint import save_replies
from rasa_onramp.metalearning.inner_loop import initial_rates
from rasa_onramp.tracker.checkpoint import save_tracker
from tiny_both import TALKS
from tiny_replies import SCHEMA, random_updates, tiny_model, write_folder
from tiny_tracker import tiny_tracker, tokenizer_json


def test_it_trains_measures_and_goes_on(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    save_tracker(tiny_tracker(rank=2, steps=2), tmp_path / "tracker", tokenizer_json())
    replies = tiny_model()
    replies.weights = random_updates(replies)
    replies.rates = initial_rates(replies.weights, 2, lora=5e-3, heads=5e-3)
    replies.card["adaptation"] = {"steps": 2, "dialogues_a_step": 1, "optimiser": "adam"}
    replies.name = str(write_folder(tmp_path / "language model"))
    save_replies(replies, tmp_path / "replies")
    data, out = tmp_path / "data", tmp_path / "found.json"
    data.mkdir()
    write_yaml(data / "parcels.yml", SCHEMA, TALKS)
    given = ["--start", tmp_path / "tracker", "--start-replies", tmp_path / "replies"]
    given += ["--train", data, "--runs", tmp_path / "runs", "--data", data, "--services", "all"]
    given += ["--shots", "2", "--seeds", "1", "--json", out, "--meta-steps"]
    joint.main([*map(str, given), "1"])
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [run["replies"] for run in found["runs"]] == ["start", "0", "0.5"]
    assert all(found["seconds"][name] > 0 for name in ("0", "0.5"))
    assert len({str(run["labelled"]) for run in found["runs"]}) >= 2  # training moved them
    assert "separately: labelled states only" in capsys.readouterr().out
    monkeypatch.setattr(trainings.subprocess, "run", None)  # all is trained
    before = out.read_bytes()
    joint.main([*map(str, given), "1"])
    assert out.read_bytes() == before
    with pytest.raises(ConfigError, match=r"\(meta_steps 1, not 2\)"):
        joint.main([*map(str, given), "2"])
