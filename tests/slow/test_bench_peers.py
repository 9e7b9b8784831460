"""bench/peers.py with a real `rasa train`: what Rasa learns of an easy domain, and gets asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rasa_onramp.dialogue import Corpus
from rasa_onramp.formats.yaml_write import yaml_text
from tiny_tracker import CAFE, bookings

OPTIONAL = {"seating": "bar", "guest_name": "anna"}
SCHEMA = replace(CAFE, intents=tuple(replace(i, optional_slots=OPTIONAL) for i in CAFE.intents))


@pytest.mark.timeout(1200)
def test_rasa_learns_an_easy_domain_and_a_second_run_goes_on(
    repository: Path, tmp_path: Path
) -> None:
    corpus = Corpus({SCHEMA.name: SCHEMA}, bookings(12))
    (tmp_path / "cafe.yml").write_text(yaml_text(SCHEMA, corpus.dialogues), encoding="utf-8")
    results = tmp_path / "peers.json"
    command = [
        *(sys.executable, str(repository / "bench" / "peers.py")),
        *("--data", str(tmp_path / "cafe.yml"), "--services", "all", "--shots", "8"),
        *("--limit", "2", "--json", str(results), "--methods"),
    ]

    def run(methods: str, *more: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(repository / "plugin")}
        return subprocess.run(
            [*command, methods, *more], env=environment, capture_output=True, text=True, check=False
        )

    done = run("rasa-crf")
    assert done.returncode == 0, done.stderr
    done = run("rasa-crf,rasa")
    assert done.returncode == 0, done.stderr
    crf, rasa = json.loads(results.read_text(encoding="utf-8"))["rows"]  # the first isn't run again
    assert (crf["method"], rasa["method"]) == ("rasa-crf", "rasa")
    for row in (crf, rasa):  # three sentences, with the days and names of the support dialogues
        assert row["turns"] == 6 and row["value_f1"] > 0.6 and row["span_f1"] > 0.6
        assert row["ready_seconds"] > row["seconds"]["train"] > 1 and row["memory_mb"] > 100
    assert rasa["intent_accuracy"] == 1.0 and rasa["replies"] == 6
    assert rasa["action_accuracy"] > 0.6 and rasa["bleu"] > 50
    assert "action_accuracy" not in crf and "bleu" not in crf
    assert "rasa, ResponseSelector" in done.stdout

    other = run("rasa-crf", "--seeds", "2", "--offers")
    assert other.returncode and "offers False, not True" in other.stderr
