"""A pretrained encoder with some of it taken away, so that the rest can be told the worth of."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Optional

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rasa_onramp.tracker.encoder import EncoderConfig
from rasa_onramp.weights import ENCODER_FILES, resolve_encoder

__all__ = ["without"]

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


def without(
    encoder: str, folder: Path, *, layers: Optional[int] = None, training: bool = True
) -> Path:
    """Write the encoder called `encoder` to `folder`, unless it is there, with its first `layers`.

    Without `training` the layers are as BERT begins (Devlin et al. 2019): normal weights of
    deviation 0.02; word and position embeddings stay as they were trained.
    """
    if all((folder / name).is_file() for name in ENCODER_FILES):
        return folder
    source = resolve_encoder(encoder)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    kept = EncoderConfig.from_folder(source).num_hidden_layers if layers is None else layers
    seeded = torch.Generator().manual_seed(0)
    tensors = {}
    for name, value in sorted(load_file(str(source / "model.safetensors")).items()):
        layer = _LAYER.search(name)
        if layer is not None:
            if int(layer[1]) >= kept:
                continue
            if not training:
                value = _first(name, value, seeded)
        tensors[name] = value
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "tokenizer.json", folder)
    config["num_hidden_layers"] = kept
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    save_file(tensors, str(folder / "model.safetensors"))
    return folder


def _first(name: str, value: Tensor, seeded: torch.Generator) -> Tensor:
    """What BERT's training begins with."""
    if name.endswith("bias"):
        return torch.zeros_like(value)
    if "LayerNorm" in name:
        return torch.ones_like(value)
    return torch.randn(value.shape, generator=seeded) * 0.02
