"""bench/workers.py as a whole, with a tiny tracker: who gains time is for its real run to show."""

from __future__ import annotations

import json
from pathlib import Path

import workers
from worker_processes import tiny_checkpoint


def test_one_worker_then_two(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "tracker")
    out = tmp_path / "out.json"
    workers.main(["--domains", "8", "--checkpoint", str(checkpoint), "--json", str(out)])
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [(run["workers"], run["versions"]) for run in found["runs"]] == [(1, 8), (2, 8)]
    assert [len(run["jobs of each worker"]) for run in found["runs"]] == [1, 2]
    assert found["speed-up"] > 0
