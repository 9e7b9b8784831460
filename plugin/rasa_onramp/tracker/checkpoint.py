"""Trackers on disk: half-precision safetensors, a tokenizer, and a config with the digest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Mapping, Optional, Union

import torch

from rasa_onramp.checkpoint_files import read_checkpoint, write_checkpoint
from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.encoder import Encoder, EncoderConfig
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.tokens import Tokens

__all__ = ["SHIPPED", "load_tracker", "save_tracker", "shipped_tokens"]

#: The checkpoint that ships in the package.
SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints" / "tracker"

_NAME, _TOKENIZER = "tracker", "tokenizer.json"


def save_tracker(tracker: StateTracker, folder: Union[str, Path], tokenizer_json: bytes) -> str:
    """Write a tracker to `folder` as float16; returns its digest (sha256 of the weights' file)."""
    config = {
        "encoder": asdict(tracker.encoder.config),
        "training_services": list(tracker.training_services),
        "card": tracker.card,
    }
    parts = {
        "encoder": tracker.encoder.state_dict(),
        "weights": tracker.weights,
        "rates": tracker.rates,
    }
    return write_checkpoint(Path(folder), _NAME, parts, config, {_TOKENIZER: tokenizer_json})


def shipped_tokens() -> Tokens:
    """The shipped tracker's tokenizer, without its weights."""
    return Tokens.from_file(SHIPPED / _TOKENIZER)


def load_tracker(
    folder: Optional[Union[str, Path]] = None, *, device: Union[str, torch.device] = "cpu"
) -> StateTracker:
    """Read a tracker (None: the shipped one), verify its digest and put it on `device`.

    Raises CheckpointError if files are missing, truncated or not what the digest says, or there is
    no room for it on `device`.
    """
    folder = SHIPPED if folder is None else Path(folder)
    mend = "reinstall rasa-onramp or give a folder written by meta-train"
    config, parts = read_checkpoint(folder, _NAME, {"encoder": dict}, mend)
    if not (folder / _TOKENIZER).is_file():
        raise CheckpointError(f"{folder} lacks {_TOKENIZER}; {mend}")
    try:
        sizes = EncoderConfig(**config["encoder"])
        _check_sizes(sizes, parts.get("encoder", {}))
        encoder = Encoder(sizes)
        encoder.load_state_dict(parts.get("encoder", {}))
        tokens = Tokens.from_file(folder / _TOKENIZER)
        if tokens.vocab_size > sizes.vocab_size or sizes.hidden_size % sizes.num_attention_heads:
            raise ValueError("the tokenizer or the heads don't fit the encoder")
    except Exception as error:  # tokenizers has no exceptions of its own
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CheckpointError(f"{folder} holds files that don't fit ({reason}); {mend}") from None
    encoder.eval().requires_grad_(False)
    tracker = StateTracker(
        encoder=encoder,
        tokens=tokens,
        weights=parts.get("weights", {}),
        rates=parts.get("rates", {}),
        training_services=tuple(config.get("training_services", ())),
        digest=config["sha256"],
        card=config.get("card", {}),
    )
    try:
        return tracker.to(device)
    except RuntimeError as error:  # too little memory is one; a GPU that others hold another
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CheckpointError(
            f"the tracker can't be put on {device} ({reason}); free it, or use the CPU"
        ) from None


def _check_sizes(sizes: EncoderConfig, tensors: Mapping[str, torch.Tensor]) -> None:
    """That the tensors are of these sizes, before memory is taken for them. Raises ValueError."""
    words, wide = tensors["embeddings.word_embeddings.weight"].shape
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")}
    inner = tensors["encoder.layer.0.intermediate.dense.weight"].shape[0] if layers else 0
    found = {
        "vocab_size": words,
        "hidden_size": wide,
        "num_hidden_layers": len(layers),
        "intermediate_size": inner,
        "max_position_embeddings": len(tensors["embeddings.position_embeddings.weight"]),
        "type_vocab_size": len(tensors["embeddings.token_type_embeddings.weight"]),
    }
    for name, size in found.items():
        if getattr(sizes, name) != size:
            raise ValueError(f"{name} is {getattr(sizes, name)!r}, but the tensors make it {size}")
