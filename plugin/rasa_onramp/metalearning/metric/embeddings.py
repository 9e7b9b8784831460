"""Embeddings that are computed once a run: a resumed run reads them from its folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, Sequence

import torch
from safetensors import SafetensorError  # type: ignore[attr-defined]
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from rasa_onramp.weights.tensors import write_tensors
from rasa_onramp.whole_files import whole

__all__ = ["embed_once"]

#: Texts embedded between two moves of the progress bar.
_CHUNK = 512


def embed_once(
    path: Path,
    texts: Sequence[str],
    embed: Callable[[Sequence[str]], Tensor],
    *,
    by: str,
    progress: bool,
) -> Tensor:
    """The embeddings of `texts`, (texts, dimensions): those in `path` if they are of these texts
    and by the same encoder, which `by` names, else computed and kept there in half precision.
    """
    digest = hashlib.sha256("\n".join([by, *texts]).encode()).digest()
    key = torch.tensor(list(digest), dtype=torch.uint8)
    if path.is_file():
        try:
            kept = load_file(str(path))
        except SafetensorError:  # a killed run's half file: computed anew
            kept = {}
        if "texts" in kept and torch.equal(kept["texts"], key):
            return kept["rows"].float()
    rows = []
    with tqdm(total=len(texts), disable=not progress, desc="embed", unit="text") as bar:
        for start in range(0, len(texts), _CHUNK):
            rows.append(embed(texts[start : start + _CHUNK]).half())
            bar.update(len(rows[-1]))
    found = torch.cat(rows) if rows else embed(texts).half()
    with whole(path) as temporary:
        write_tensors({"rows": found, "texts": key}, temporary)
    return found.float()
