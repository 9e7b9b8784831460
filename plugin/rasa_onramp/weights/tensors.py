"""Tensors written to a safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Mapping, Optional

from safetensors import SafetensorError  # type: ignore[attr-defined]

if TYPE_CHECKING:  # torch is imported by what computes, not by every command
    from torch import Tensor

__all__ = ["write_tensors"]


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Optional[Mapping[str, str]] = None
) -> None:
    """Write a safetensors file. Raises OSError, leaving none, where there is no room, say."""
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), str(path), metadata=dict(metadata) if metadata else None)
    except (SafetensorError, OSError) as error:  # safetensors tells of the disk in words only
        path.unlink(missing_ok=True)
        raise OSError(f"{path} can't be written: {error}") from None
