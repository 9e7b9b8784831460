"""bench/retrieval.py: what it measures, with a space beside the embeddings as they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import retrieval
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.metalearning.metric.checkpoint import Metric, save_metric
from result_tables.replies import retrieved
from tiny_replies import SCHEMA, corpus

pytest.importorskip("sacrebleu")


def test_a_folder_of_domains_is_measured(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    for folder in ("training_data/dev", "dialogue_data"):
        (tmp_path / folder).mkdir(parents=True)
    write_yaml(tmp_path / "training_data/dev/parcels.yml", SCHEMA, corpus(4).dialogues)
    out = tmp_path / "out.json"
    monkeypatch.setattr(retrieval, "ROOT", tmp_path)
    same = Metric(torch.zeros(384), torch.eye(384), 1.0, 0.0, "siamese", "replies")
    save_metric(same, tmp_path / "metric")
    given = ["retrieval.py", "--seeds", "1", "--limit", "2", "--json", str(out)]
    given += ["--metric", str(tmp_path / "metric")]
    monkeypatch.setattr(sys, "argv", given)
    retrieval.main()
    plain, learned = json.loads(out.read_text(encoding="utf-8"))["summary"]
    assert {row["source"] for row in (plain, learned)} == {"training_data/dev"}
    assert (plain["method"], learned["method"]) == (retrieval.PLAIN, "siamese")
    assert plain["replies"] == learned["replies"] > 0
    # a space that changes nothing finds the same replies
    assert plain["bleu"] == learned["bleu"] > 0
    assert learned["minus plain"] == {
        name: [0.0, 0.0, 0.0] for name in ("bleu", "bleu_delexicalised")
    }  # two dialogues: some samples have no slot
    assert "siamese" in capsys.readouterr().out


def test_table_by_hand() -> None:
    figures = {"source": "dev", "replies": 7, "bleu": 10, "bleu_delexicalised": 5.25}
    plain = {**figures, "method": "plain", "slot_error_rate": 0.5}
    minus = {"bleu": [1, 0.5, 2], "bleu_delexicalised": [0, -1, 1], "slot_error_rate": [-1, -2, 0]}
    learned = {**plain, "method": "siamese", "minus plain": minus}
    settings = {"shots": 5, "seeds": 3, "limit": 4}
    grid = retrieved([{"settings": settings, "summary": [plain, learned]}])
    assert grid.rows == (
        ("dev", "7", "plain", "10.0", "5.2", "0.50"),
        (
            *("dev", "7", "siamese", "10.0 (**+1.0 [+0.5, +2.0]**)", "5.2 (+0.0 [-1.0, +1.0])"),
            "0.50 (-1.00 [-2.00, +0.00])",
        ),
    )
    assert "of 5 dialogues, 3 support sets and up to 4 held-out" in grid.note
