"""A checkpoint as files: NAME.safetensors, and NAME.json with its digest and the rest."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Mapping, Tuple

import torch
from safetensors import SafetensorError  # type: ignore[attr-defined]
from safetensors.torch import load_file
from torch import Tensor

from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights.files import sha256_of
from rasa_onramp.weights.tensors import write_tensors

__all__ = ["Parts", "read_checkpoint", "write_checkpoint"]

_FORMAT = 1

#: Tensors by name, by what they are part of.
Parts = Dict[str, Dict[str, Tensor]]


def write_checkpoint(
    folder: Path,
    name: str,
    parts: Mapping[str, Mapping[str, Tensor]],
    config: Mapping[str, Any],
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Write all tensors in half precision but `rates`, which span more; returns their digest.

    What was there stays until all files are written, those `beside`, by name, too. The config is
    put in its place last, so that weights beside one that isn't theirs are told by the digest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for part, values in parts.items():
        kind = torch.float32 if part == "rates" else torch.float16
        for key, value in values.items():
            tensors[f"{part}/{key}"] = value.detach().to("cpu", kind).contiguous().clone()
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.") as made:
        weights, settings = Path(made, f"{name}.safetensors"), Path(made, f"{name}.json")
        write_tensors(tensors, weights)
        digest = sha256_of(weights)
        text = json.dumps({"format": _FORMAT, **config, "sha256": digest}, indent=1)
        settings.write_text(text + "\n", encoding="utf-8")
        others = [Path(made, each) for each in beside]
        for file in others:
            file.write_bytes(beside[file.name])
        for file in (*others, weights, settings):
            os.replace(file, folder / file.name)
    return digest


def read_checkpoint(
    folder: Path, name: str, wanted: Mapping[str, type], mend: str
) -> Tuple[Dict[str, Any], Parts]:
    """The config, which holds `wanted` keys of these types, and a dict for a card if it has one;
    and the tensors in single precision.

    Raises CheckpointError, ending in `mend`, if a file is missing, damaged or not what the digest
    says.
    """
    path, weights = folder / f"{name}.json", folder / f"{name}.safetensors"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["format"] != _FORMAT:
            raise ValueError(f"its format is {config['format']}, not {_FORMAT}")
        for key, kind in {"sha256": str, **wanted}.items():
            if not isinstance(config[key], kind):
                raise ValueError(f"{key} is {config[key]!r}")
        if not isinstance(config.get("card", {}), dict):
            raise ValueError(f"card is {config['card']!r}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} can't be read ({error!r}); {mend}") from None
    if not weights.is_file():
        raise CheckpointError(f"{folder} lacks {weights.name}; {mend}")
    if sha256_of(weights) != config["sha256"]:
        raise CheckpointError(f"{weights} is not what its digest says; {mend}")
    try:
        tensors = load_file(str(weights))
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CheckpointError(f"{weights} holds no tensors ({reason}); {mend}") from None
    parts: Parts = {}
    for key, value in tensors.items():
        part, _, tensor = key.partition("/")
        parts.setdefault(part, {})[tensor] = value.float()
    return config, parts
