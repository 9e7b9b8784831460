"""A tiny Llama model as llama.cpp stores it: a real GGUF file, written with the package gguf."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any, Dict, Sequence, Tuple

import numpy as np

from rasa_onramp.weights.files import llama_shapes
from rasa_onramp.weights.wheel import Wheel

__all__ = ["CONFIG", "random_weights", "wheel_of", "write_gguf", "write_wheel"]

#: Rows of 32 and more, since that is what llama.cpp quantises by.
CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 264,
    "tie_word_embeddings": True,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
}
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def random_weights() -> Dict[str, np.ndarray]:
    """The tensors of `CONFIG` by transformers' names, in values that bfloat16 holds exactly."""
    generator = np.random.default_rng(5)
    return {
        name: (generator.integers(-100, 100, shape) / 512).astype(np.float32)
        for name, shape in llama_shapes(CONFIG).items()
    }


def write_gguf(
    path: Path, weights: Dict[str, np.ndarray], *, quantised: bool = False, **changes: Any
) -> Path:
    """Write `weights` as llama.cpp's converter does. `changes` go over the metadata's values."""
    import gguf

    metadata: Dict[str, Any] = {
        "block_count": CONFIG["num_hidden_layers"],
        "context_length": CONFIG["max_position_embeddings"],
        "embedding_length": CONFIG["hidden_size"],
        "feed_forward_length": CONFIG["intermediate_size"],
        "head_count": CONFIG["num_attention_heads"],
        "head_count_kv": CONFIG["num_key_value_heads"],
        "layer_norm_rms_eps": CONFIG["rms_norm_eps"],
        "rope_freq_base": CONFIG["rope_theta"],
        "tokenizer_model": "gpt2",
        "tokenizer_pre": "smollm",
    }
    architecture = changes.pop("architecture", "llama")
    metadata.update(changes)
    writer = gguf.GGUFWriter(str(path), architecture)
    for name, value in metadata.items():
        getattr(writer, f"add_{name}")(value)
    tokens, merges = _vocabulary()
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in CONTROL else 1 for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in weights.items():
        if "q_proj" in name or "k_proj" in name:
            tensor = _permuted(
                tensor, CONFIG[f"num_{'attention' if 'q_' in name else 'key_value'}_heads"]
            )
        if quantised and tensor.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(_name(name), gguf.quants.quantize(tensor, kind), raw_dtype=kind)
        else:
            writer.add_tensor(_name(name), tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def wheel_of(path: Path) -> Wheel:
    """A description of a wheel which holds the file `path`."""
    return Wheel(
        requirement="onramp-tiny-llama==1.0",
        package="onramp_tiny_llama",
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence="Apache-2.0",
    )


def write_wheel(path: Path, folder: Path) -> Path:
    """That wheel, as pip and uv install it; it depends on what nobody has."""
    folder.mkdir(exist_ok=True)
    about = "onramp_tiny_llama-1.0.dist-info"
    wheel = folder / "onramp_tiny_llama-1.0-py3-none-any.whl"
    files = {
        "onramp_tiny_llama/__init__.py": b"raise SystemExit('nobody imports this')\n",
        f"onramp_tiny_llama/{path.name}": path.read_bytes(),
        f"{about}/METADATA": (
            b"Metadata-Version: 2.1\nName: onramp-tiny-llama\nVersion: 1.0\n"
            b"Requires-Dist: onramp-no-such-package\n"
        ),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{about}/RECORD", record)
    return wheel


def _vocabulary() -> Tuple[Sequence[str], Sequence[str]]:
    """The control tokens, every byte as GPT-2 writes it, and a few merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [
        chr(256 + place) for place, _ in enumerate(others)
    ]
    merges = ["h e", "l l", "he ll", "hell o", "Ġ h"]
    return [*CONTROL, *letters, *(merge.replace(" ", "") for merge in merges)], merges


def _name(name: str) -> str:
    parts = name.split(".")
    if parts[1] == "layers":
        return f"blk.{parts[2]}.{_NAMES['.'.join(parts[3:-1])]}.weight"
    return f"{_NAMES['.'.join(parts[:-1])]}.weight"


def _permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """As llama.cpp's convert_hf_to_gguf.py does it, word for word."""
    return (
        weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )
