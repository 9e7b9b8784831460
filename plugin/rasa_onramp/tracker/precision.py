"""In which precision a device multiplies matrices best."""

from __future__ import annotations

import torch

__all__ = ["matrix_type"]


def matrix_type(kind: str) -> torch.dtype:
    """bfloat16 on GPUs and on CPUs with matrix units for it (AMX), else float32. `kind` is that of
    the device, as "cpu".

    Without such units float32 is the faster of the two on a CPU; with them a product takes a
    fifth of the time, and in small ones there is half as much to read.
    """
    if kind == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", None)  # torch 2.6 on
        half = bool(capabilities and capabilities().get("amx_bf16"))
    else:
        half = kind == "cuda"
    return torch.bfloat16 if half else torch.float32
