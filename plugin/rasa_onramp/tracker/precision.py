"""In which precision a device multiplies matrices best."""

from __future__ import annotations

from typing import Union

import torch

__all__ = ["matrix_type"]


def matrix_type(device: Union[str, torch.device]) -> torch.dtype:
    """bfloat16 on GPUs and CPUs with matrix units for it (from Ampere on; AMX), else float32.

    Without such units float32 is the faster of the two: older GPUs only emulate bfloat16. On a CPU
    with them a product takes a fifth of the time, and in small ones there is half as much to read.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", None)  # torch 2.6 on
        half = bool(capabilities and capabilities().get("amx_bf16"))
    else:
        amd = torch.version.hip is not None  # whose numbers of capability are others
        half = kind == "cuda" and (amd or torch.cuda.get_device_capability(device)[0] >= 8)
    return torch.bfloat16 if half else torch.float32
