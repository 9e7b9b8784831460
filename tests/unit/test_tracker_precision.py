"""In which precision a device computes; the devices are made up."""

from __future__ import annotations

from typing import Dict, Optional

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


@pytest.mark.parametrize(
    ("capabilities", "wanted"),
    [
        ({"avx512_f": True, "amx_bf16": False, "avx512_bf16": False}, torch.float32),  # Skylake
        ({"avx512_f": True, "amx_bf16": False, "avx512_bf16": True}, torch.bfloat16),  # Zen 4
        ({"avx512_f": True, "amx_bf16": True, "avx512_bf16": True}, torch.bfloat16),  # with AMX
        ({"architecture": "aarch64"}, torch.float32),
    ],
)
def test_bfloat16_is_for_cpus_that_multiply_it_by_themselves(
    monkeypatch: pytest.MonkeyPatch, capabilities: Dict[str, object], wanted: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert matrix_type("cpu") == matrix_type(torch.device("cpu")) == wanted


def test_before_torch_tells_a_cpus_capabilities_it_is_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert matrix_type("cpu") == torch.float32
