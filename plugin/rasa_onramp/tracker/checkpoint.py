"""Trackers on disk: half-precision safetensors, a tokenizer, and a config with the digest."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Dict, Optional, Union

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.encoder import Encoder, EncoderConfig
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.tokens import Tokens

__all__ = ["SHIPPED", "load_tracker", "save_tracker"]

#: The checkpoint that ships in the package.
SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints" / "tracker"

_FORMAT = 1
_WEIGHTS, _CONFIG, _TOKENIZER = "tracker.safetensors", "tracker.json", "tokenizer.json"


def save_tracker(tracker: StateTracker, folder: Union[str, Path], tokenizer_json: bytes) -> str:
    """Write a tracker to `folder` as float16; returns its digest (sha256 of the weights' file).

    The config is written last, so that an interrupted save leaves no loadable half.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors: Dict[str, Tensor] = {}
    for part, values in (
        ("encoder", tracker.encoder.state_dict()),
        ("weights", tracker.weights),
        ("rates", tracker.rates),
    ):
        for name, value in values.items():
            half = value.detach().to("cpu", torch.float16 if part != "rates" else torch.float32)
            tensors[f"{part}/{name}"] = half.contiguous().clone()
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(handle)
    save_file(tensors, temporary)
    digest = _sha256(Path(temporary))
    os.chmod(temporary, 0o644)
    os.replace(temporary, folder / _WEIGHTS)
    (folder / _TOKENIZER).write_bytes(tokenizer_json)
    config = {
        "format": _FORMAT,
        "encoder": asdict(tracker.encoder.config),
        "training_services": list(tracker.training_services),
        "sha256": digest,
        "card": tracker.card,
    }
    (folder / _CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return digest


def load_tracker(
    folder: Optional[Union[str, Path]] = None, *, device: Union[str, torch.device] = "cpu"
) -> StateTracker:
    """Read a tracker (None: the shipped one), verify its digest and put it on `device`.

    Raises CheckpointError if files are missing, truncated or not what the digest says.
    """
    folder = SHIPPED if folder is None else Path(folder)
    mend = "reinstall rasa-onramp or give a folder written by meta-train"
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        expected, sizes = config["sha256"], EncoderConfig(**config["encoder"])
        if config["format"] != _FORMAT:
            raise ValueError(f"its format is {config['format']}, not {_FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / _CONFIG} can't be read ({error!r}); {mend}") from None
    weights = folder / _WEIGHTS
    if not weights.is_file() or not (folder / _TOKENIZER).is_file():
        raise CheckpointError(f"{folder} lacks {_WEIGHTS} or {_TOKENIZER}; {mend}")
    if _sha256(weights) != expected:
        raise CheckpointError(f"{weights} is not what its digest says; {mend}")
    tensors = load_file(str(weights))
    parts: Dict[str, Dict[str, Tensor]] = {"encoder": {}, "weights": {}, "rates": {}}
    for name, value in tensors.items():
        part, _, key = name.partition("/")
        parts[part][key] = value.float()
    try:
        encoder = Encoder(sizes)
        encoder.load_state_dict(parts["encoder"])
        tokens = Tokens.from_file(folder / _TOKENIZER)
        if tokens.vocab_size > sizes.vocab_size or sizes.hidden_size % sizes.num_attention_heads:
            raise ValueError("the tokenizer or the heads don't fit the encoder")
    except Exception as error:  # tokenizers has no exceptions of its own
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CheckpointError(f"{folder} holds files that don't fit ({reason}); {mend}") from None
    encoder.eval().requires_grad_(False)
    return StateTracker(
        encoder=encoder,
        tokens=tokens,
        weights=parts["weights"],
        rates=parts["rates"],
        training_services=tuple(config.get("training_services", ())),
        digest=expected,
        card=config.get("card", {}),
    ).to(device)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
