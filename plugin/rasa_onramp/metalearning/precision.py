"""How learning computes: in which precision, and how a language model attends meanwhile."""

from __future__ import annotations

from typing import Any, Dict, Union

import torch

from rasa_onramp.tracker.precision import matrix_type

__all__ = ["computing", "learning_attention", "learning_precision"]


def learning_attention(device: Union[str, torch.device], order: int = 1) -> str:
    """How a language model attends that learns there, by meta-gradients of this order.

    A CPU's fused attention has a slow backward pass, and none has a second one.
    """
    return "eager" if torch.device(device).type == "cpu" or order == 2 else "sdpa"


def learning_precision(device: torch.device) -> Any:
    """A context: bfloat16 where that is the faster, else float32 (`matrix_type`). Parameters and
    their gradients stay float32 either way.
    """
    half = matrix_type(device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def computing(device: Union[str, torch.device]) -> Dict[str, str]:
    """Where the tracker computes and in which precision it learns, for a results file."""
    half = matrix_type(device) == torch.bfloat16
    return {"device": str(device), "precision": "bf16" if half else "fp32"}
