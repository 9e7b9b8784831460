"""bench/algorithms.py from a start to its file of figures, on a tracker small enough for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import algorithms
import trainings
from rasa_onramp.errors import ConfigError
from rasa_onramp.tracker.checkpoint import save_tracker
from result_tables.algorithms import LONGER, START
from tiny_tracker import corpus, tiny_tracker, tokenizer_json, write_domains


def test_it_trains_measures_and_goes_on(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    start, data, out = (tmp_path / name for name in ("multitask", "tuning", "found.json"))
    save_tracker(tiny_tracker(seed=4), start, tokenizer_json())
    data.mkdir()
    write_domains(data, corpus(services=2, dialogues=8))
    given = ["--start", start, "--train", data, "--runs", tmp_path / "runs", "--data", data]
    given += ["--services", "all", "--shots", "1,2", "--seeds", "1", "--limit", "2", "--json", out]
    given += ["--algorithms", "anil", "--longer-minutes", "0.001", "--meta-steps"]
    algorithms.main([*map(str, given), "1"])
    found = json.loads(out.read_text(encoding="utf-8"))
    assert set(found["trackers"]) == {START, LONGER, "anil"}
    assert len(set(found["trackers"].values())) == 3
    assert all(found["seconds"][name] > 0 for name in ("anil", LONGER))
    # two services; two sizes; three methods for the multi-task ones, two for the algorithm
    assert len(found["runs"]) == 2 * 2 * (3 + 3 + 2)
    assert "multi-task, longer, fine-tuned" in capsys.readouterr().out
    monkeypatch.setattr(trainings.subprocess, "run", None)  # all is trained
    before = out.read_bytes()
    algorithms.main([*map(str, given), "1"])
    assert out.read_bytes() == before
    with pytest.raises(ConfigError, match=r"\(meta_steps 1, not 2\)"):
        algorithms.main([*map(str, given), "2"])
    out.unlink()
    with pytest.raises(ConfigError, match="anil was trained with other options"):
        algorithms.main([*map(str, given), "2"])
