"""In which precision a GPU computes; the tests' machines have none, so it is made up."""

from __future__ import annotations

from typing import Optional

import pytest
import torch

from rasa_onramp.tracker.precision import matrix_type


@pytest.mark.parametrize(
    ("capability", "hip", "wanted"),
    [
        ((7, 0), None, torch.float32),  # V100
        ((7, 5), None, torch.float32),  # T4, which emulates bfloat16
        ((8, 0), None, torch.bfloat16),  # A100
        ((9, 0), None, torch.bfloat16),  # H200
        ((7, 5), "6.0", torch.bfloat16),  # AMD counts otherwise
    ],
)
def test_bfloat16_is_for_gpus_that_have_units_for_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple, hip: Optional[str], wanted: torch.dtype
) -> None:
    asked = []

    def told(device: object) -> tuple:
        asked.append(device)
        return capability

    monkeypatch.setattr(torch.cuda, "get_device_capability", told)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert matrix_type(torch.device("cuda:1")) == matrix_type("cuda") == wanted
    assert asked == ([] if hip else [torch.device("cuda:1"), "cuda"])
