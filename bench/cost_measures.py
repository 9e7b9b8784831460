"""The instruments of bench/cost.py: peak memory, arithmetic, and what the machine can do."""

from __future__ import annotations

import ctypes
import gc
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

__all__ = ["Counting", "Figures", "ceiling", "peak_mb", "seconds_of"]

#: What a section of bench/cost.py measured.
Figures = Dict[str, Any]

#: The CPU's fused attention, which torch's registry of formulas lacks.
_FUSED: Dict[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda query, key, value, *rest, **named: sdpa_flop_count(
            query.shape, key.shape, value.shape
        )
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda gradient, query, key, value, *rest, **named: sdpa_backward_flop_count(
            gradient.shape, query.shape, key.shape, value.shape
        )
    ),
}


def seconds_of(work: Callable[[], Any]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_mb(work: Callable[[], Any]) -> Optional[float]:
    """Megabytes by which the process's memory rises while `work` is done (Linux; else None)."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        work()
        return None
    gc.collect()
    with suppress(AttributeError):  # glibc's: what was freed before mustn't be filled anew unseen
        ctypes.CDLL(None).malloc_trim(0)
    reset.write_text("5", encoding="ascii")  # the peak so far becomes what is held now
    before = _megabytes(status, "VmRSS")
    work()
    return round(_megabytes(status, "VmHWM") - before, 1)


def _megabytes(status: Path, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", status.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def ceiling(dtype: torch.dtype, size: int = 2048, repeats: int = 8) -> float:
    """Floating-point operations a second of a product of two large square matrices; the best."""
    a, b = torch.randn(2, size, size).to(dtype)
    return max(2 * size**3 / seconds_of(lambda: a @ b) for _ in range(repeats + 1))


class Counting(TorchDispatchMode):
    """Counts floating-point operations, by torch's own formulas, while it is entered.

    (FlopCounterMode does too, but follows modules, which `autograd.grad` doesn't allow.)
    """

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = {**flop_registry, **_FUSED}.get(func._overloadpacket)
        if formula is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=out)
        return out
