"""Whether a folder of weights, a language model's or the encoder's, is complete and sound. Nothing
is changed here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from safetensors import SafetensorError, safe_open  # type: ignore[attr-defined]
from tqdm import tqdm

from rasa_onramp.errors import CheckpointError

__all__ = ["SOURCE", "check_weights", "flaw", "llama_shapes", "read_json", "sha256_of"]

#: Where a folder that we made says what it was made from.
SOURCE = "source.json"
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_CHUNK = 1 << 20

#: More layers than any model has: their names alone would fill the memory.
_TOO_MANY_LAYERS = 10_000

Shape = Tuple[int, ...]


def flaw(folder: Path) -> Optional[str]:
    """What keeps `folder` from being used as a language model, in one line; None if nothing does.

    Quick: files are there, as long as they say themselves, and of a Llama model hold every tensor
    in the shape that config.json makes it (others have too many kinds of layers): what they lack
    would be made up, in as much memory as the config asks for. `check_weights` reads all of them.
    """
    try:
        config, _ = [read_json(folder / name) for name in ("config.json", "tokenizer.json")]
        shapes: Dict[str, Shape] = {}
        for path in _shards(folder):
            shapes.update(_shapes_in(path))
        if config.get("model_type") == "llama":
            _compare(shapes, llama_shapes(config), folder)
    except CheckpointError as error:
        return str(error)
    return None


def check_weights(folder: Path, *, progress: bool = False) -> None:
    """Read every tensor of the encoder or language model in `folder`.

    Raises CheckpointError, naming the file, if it has a `flaw`, if a tensor holds NaN or infinity,
    or if the file is not what its digest says.
    """
    found = flaw(folder)
    if found is not None:
        raise CheckpointError(found)
    shards = _shards(folder)
    tensors = sum(len(_shapes_in(path)) for path in shards)
    bar = tqdm(total=tensors, desc="checking", unit="tensor", disable=not progress)
    with bar:
        for path in shards:
            for name in _not_finite(path, bar):
                raise CheckpointError(f"{path} holds NaN or infinity in {name}")
    if (folder / SOURCE).is_file():
        wanted = read_json(folder / SOURCE).get("model_sha256")
        if wanted and sha256_of(folder / _WEIGHTS) != wanted:
            raise CheckpointError(f"{folder / _WEIGHTS} has changed: its digest is not {SOURCE}'s")


def llama_shapes(config: Dict[str, Any]) -> Dict[str, Shape]:
    """Every tensor of a Llama model and its shape, by what config.json says.

    Raises CheckpointError if `config` lacks a size, or has one that can't be.
    """
    try:
        wide, inner = int(config["hidden_size"]), int(config["intermediate_size"])
        words, layers = int(config["vocab_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        key_heads = int(config.get("num_key_value_heads") or heads)
        head = int(config.get("head_dim") or wide // heads)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"config.json lacks a size of the model ({error})") from None
    if layers > _TOO_MANY_LAYERS:
        raise CheckpointError(f"config.json says that the model has {layers} layers")
    shapes: Dict[str, Shape] = {"model.embed_tokens.weight": (words, wide)}
    for layer in range(layers):
        of_layer = {
            "input_layernorm": (wide,),
            "self_attn.q_proj": (heads * head, wide),
            "self_attn.k_proj": (key_heads * head, wide),
            "self_attn.v_proj": (key_heads * head, wide),
            "self_attn.o_proj": (wide, heads * head),
            "post_attention_layernorm": (wide,),
            "mlp.gate_proj": (inner, wide),
            "mlp.up_proj": (inner, wide),
            "mlp.down_proj": (wide, inner),
        }
        shapes.update({f"model.layers.{layer}.{k}.weight": v for k, v in of_layer.items()})
        if config.get("attention_bias"):
            for part in "qkvo":
                name = f"model.layers.{layer}.self_attn.{part}_proj"
                shapes[f"{name}.bias"] = shapes[f"{name}.weight"][:1]
        if config.get("mlp_bias"):
            for part in ("gate", "up", "down"):
                name = f"model.layers.{layer}.mlp.{part}_proj"
                shapes[f"{name}.bias"] = shapes[f"{name}.weight"][:1]
    shapes["model.norm.weight"] = (wide,)
    if not config.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (words, wide)
    return shapes


def read_json(path: Path) -> Dict[str, Any]:
    """The JSON object in `path`. Raises CheckpointError if it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} lacks {path.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} can't be read ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} can't be read (no JSON object)")
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _shards(folder: Path) -> List[Path]:
    """The files that hold the tensors: one, or those that an index names."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if not (folder / _INDEX).is_file():
        raise CheckpointError(f"{folder} lacks {_WEIGHTS}")
    named = read_json(folder / _INDEX).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise CheckpointError(f"{folder / _INDEX} names no files")
    paths = [folder / str(name) for name in sorted({str(name) for name in named.values()})]
    for path in paths:
        if path.parent != folder or not path.is_file():
            raise CheckpointError(f"{folder} lacks {path.name}")
    return paths


def _shapes_in(path: Path) -> Dict[str, Shape]:
    """The tensors of a safetensors file, from its header, which must account for every byte."""
    try:
        opened: Any = safe_open(str(path), framework="numpy")
        with opened as file:
            names: List[str] = file.keys()
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error})") from None


def _compare(found: Dict[str, Shape], wanted: Dict[str, Shape], folder: Path) -> None:
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors, as {missing[0]}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{folder}: {name} has shape {found[name]}, but config.json makes it {shape}"
            )


def _not_finite(path: Path, bar: tqdm) -> Iterator[str]:
    import torch

    opened: Any = safe_open(str(path), framework="pt")
    with opened as file:
        names: List[str] = file.keys()
        for name in names:
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                yield name
            bar.update()
