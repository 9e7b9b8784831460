"""What the benches share: rows of other checkpoints, and metrics of one method, are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from learned_spaces import cards, load_metrics
from measuring import journal_beside, refuse_others
from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.metric.checkpoint import Metric, save_metric


def test_rows_of_another_checkpoint_are_not_taken_for_these(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    rows = [{"tracker": "maml"}, {"tracker": "anil", "checkpoint": "abc"}, {"tracker": "gone"}]
    path.write_text(json.dumps({"settings": {}, "trackers": {"maml": "def"}, "runs": rows}))
    journal, rest = journal_beside(path, {})
    earlier = rest["trackers"]
    refuse_others(journal, "tracker", {"maml": "def", "anil": "abc", "new": "x"}, earlier)
    for digests, name in (({"maml": "other"}, "maml"), ({"anil": "other"}, "anil")):
        with pytest.raises(ConfigError, match=f"'{name}' was measured on another checkpoint"):
            refuse_others(journal, "tracker", digests, earlier)


def test_two_metrics_of_one_method_are_refused(tmp_path: Path) -> None:
    for name, method in (("one", "siamese"), ("two", "siamese"), ("three", "matching")):
        metric = Metric(torch.zeros(4), torch.eye(4), 1.0, 0.0, method, "domains")
        save_metric(metric, tmp_path / name)
    found = load_metrics([tmp_path / "one", tmp_path / "three"], "domains")
    assert list(found) == list(cards(found)) == ["siamese", "matching"]
    with pytest.raises(ConfigError, match="--metric: two are siamese"):
        load_metrics([tmp_path / "one", tmp_path / "two"], "domains")
