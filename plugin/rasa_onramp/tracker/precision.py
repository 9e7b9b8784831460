"""In which precision a device multiplies matrices best."""

from __future__ import annotations

from typing import Union

import torch

__all__ = ["matrix_type"]


def matrix_type(device: Union[str, torch.device]) -> torch.dtype:
    """bfloat16 on devices that multiply it by themselves, else float32.

    Those are GPUs from Ampere on, and CPUs with AMX (Intel's servers from 2023 on) or AVX-512's
    bfloat16 (AMD's from Zen 4 on): a large product takes a sixth of float32's time with the one and
    half of it with the other, and in small ones there is half as much to read. Where bfloat16 is
    only emulated float32 is the faster.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", None)  # torch 2.6 on
        found = capabilities() if capabilities else {}
        half = bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    else:
        amd = torch.version.hip is not None  # whose numbers of capability are others
        half = kind == "cuda" and (amd or torch.cuda.get_device_capability(device)[0] >= 8)
    return torch.bfloat16 if half else torch.float32
