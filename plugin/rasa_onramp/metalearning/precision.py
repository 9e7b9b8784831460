"""How learning computes: in which precision, and how a language model attends meanwhile."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["learning_attention", "learning_precision"]


def learning_attention(device: torch.device, order: int = 1) -> str:
    """How a language model attends that learns there, by meta-gradients of this order.

    A CPU's fused attention has a slow backward pass, and none has a second one.
    """
    return "eager" if device.type == "cpu" or order == 2 else "sdpa"


def learning_precision(device: torch.device) -> Any:
    """A context: bfloat16 on GPUs and on CPUs with matrix units for it (AMX), else float32.

    Without such units float32 is the faster of the two on a CPU; with them a product takes a
    fifth of the time. Parameters and their gradients stay float32 either way.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=_half_is_faster(device))


def _half_is_faster(device: torch.device) -> bool:
    if device.type != "cpu":
        return device.type == "cuda"
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # torch 2.6 on
    return bool(capabilities and capabilities().get("amx_bf16"))
