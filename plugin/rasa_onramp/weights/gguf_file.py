"""llama.cpp's GGUF format: a Llama model, dequantised into a folder as transformers saves it.

Only what SmolLM2's files are: architecture `llama`, and a byte-level BPE tokeniser of the kind
`smollm`. Anything else is refused rather than read half right.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from tqdm import tqdm

from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights.files import llama_shapes
from rasa_onramp.weights.tensors import write_tensors

__all__ = ["convert"]

_TENSORS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
#: What GGUF calls a token that is no text.
_CONTROL = 3


def convert(path: Path, folder: Path, *, progress: bool = False) -> None:
    """Write the model in the GGUF file `path` into `folder`, which exists: config.json,
    generation_config.json, tokenizer.json, tokenizer_config.json and, in bfloat16,
    model.safetensors.

    Raises CheckpointError if the file is damaged or of a kind not known here, or if the package
    gguf isn't installed, and OSError where a file can't be written.
    """
    reader = _open(path)
    try:
        fields = {name: _value(field) for name, field in reader.fields.items()}
        config = _config(fields, tied=all(t.name != "output.weight" for t in reader.tensors))
        tokenizer, settings = _tokenizer(fields)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None
    settings["model_max_length"] = config["max_position_embeddings"]
    _save_tensors(path, reader, config, folder / "model.safetensors", progress)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {key: config[key] for key in config if key.endswith("_token_id")}
    for name, content in (
        ("config.json", config),
        ("generation_config.json", ids),
        ("tokenizer_config.json", settings),
    ):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is no whole GGUF file of a known kind ({type(error).__name__}: {error})"
    )


def _open(path: Path) -> Any:
    try:
        from gguf import GGUFReader
    except ImportError:
        raise CheckpointError(
            "GGUF files need the package gguf; pip install 'rasa-onramp[generator]'"
        ) from None
    try:
        return GGUFReader(path)
    except FileNotFoundError:
        raise CheckpointError(f"there is no {path}") from None
    except Exception as error:  # what it reads past a damaged part may fail in any way
        raise _damaged(path, error) from None


def _value(field: Any) -> Any:
    """A field's value. Read here, since older releases of gguf have no way to."""
    kinds = [kind.name for kind in field.types]
    if not kinds:
        return None
    if kinds[0] == "STRING":
        return bytes(field.parts[-1]).decode("utf-8")
    if kinds[0] != "ARRAY":
        return field.parts[-1].tolist()[0]
    if kinds[-1] == "STRING":
        return [bytes(field.parts[index]).decode("utf-8") for index in field.data]
    return [item for index in field.data for item in field.parts[index].tolist()]


def _config(fields: Dict[str, Any], *, tied: bool) -> Dict[str, Any]:
    """config.json by the file's metadata. Raises KeyError or ValueError."""
    if fields["general.architecture"] != "llama":
        raise ValueError(f"architecture {fields['general.architecture']!r}")
    scaling = [name for name in fields if name.startswith("llama.rope.scaling")]
    if scaling:
        raise ValueError(f"{scaling[0]} is not known here")
    heads = fields["llama.attention.head_count"]
    wide = fields["llama.embedding_length"]
    head = fields.get("llama.attention.key_length", wide // heads)
    if fields.get("llama.rope.dimension_count", head) != head:
        raise ValueError("rotary embeddings of a part of each head")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "head_dim": head,
        "hidden_act": "silu",
        "hidden_size": wide,
        "intermediate_size": fields["llama.feed_forward_length"],
        "max_position_embeddings": fields["llama.context_length"],
        "mlp_bias": False,
        "num_attention_heads": heads,
        "num_hidden_layers": fields["llama.block_count"],
        "num_key_value_heads": fields.get("llama.attention.head_count_kv", heads),
        # kept as 32-bit floats there: 1e-05 reads as 9.999999747378752e-06
        "rms_norm_eps": float(f"{fields['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_theta": float(f"{fields.get('llama.rope.freq_base', 10000.0):.6g}"),
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
    }
    for name, key in (("bos", "bos"), ("eos", "eos"), ("padding", "pad")):
        found = fields.get(f"tokenizer.ggml.{name}_token_id")
        if found is not None:
            config[f"{key}_token_id"] = found
    return config


def _tokenizer(fields: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
    """The tokeniser, and tokenizer_config.json. Raises KeyError, IndexError or ValueError."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind = (fields["tokenizer.ggml.model"], fields["tokenizer.ggml.pre"])
    if kind != ("gpt2", "smollm"):
        raise ValueError(f"tokeniser of the kind {kind[0]}/{kind[1]}")
    tokens: List[str] = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    try:
        model = models.BPE({token: place for place, token in enumerate(tokens)}, merges)
    except Exception as error:  # tokenizers raises Exception itself
        raise ValueError(str(error)) from None
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = fields["tokenizer.ggml.token_type"]
    control = [token for token, kind in zip(tokens, kinds) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in control])

    settings: Dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "additional_special_tokens": [token for token in control if token.startswith("<|im_")],
    }
    for name, key in (("bos", "bos"), ("eos", "eos"), ("padding", "pad"), ("unknown", "unk")):
        found = fields.get(f"tokenizer.ggml.{name}_token_id")
        if found is not None:
            settings[f"{key}_token"] = tokens[found]
    if fields.get("tokenizer.chat_template"):
        settings["chat_template"] = fields["tokenizer.chat_template"]
    return tokenizer, settings


def _save_tensors(
    path: Path, reader: Any, config: Dict[str, Any], target: Path, progress: bool
) -> None:
    wanted = llama_shapes(config)
    tensors = {}
    bar = tqdm(total=len(wanted), desc="dequantising", unit="tensor", disable=not progress)
    with bar:
        for name, tensor in _tensors(path, reader, config):
            if name not in wanted or tuple(tensor.shape) != wanted[name]:
                raise CheckpointError(f"{path}: {name} {tuple(tensor.shape)} fits no such model")
            tensors[name] = tensor
            bar.update()
    missing = sorted(set(wanted) - set(tensors))
    if missing:
        raise CheckpointError(f"{path} lacks {len(missing)} tensors, as {missing[0]}")
    write_tensors(tensors, target, {"format": "pt"})


def _tensors(path: Path, reader: Any, config: Dict[str, Any]) -> Iterator[Tuple[str, Any]]:
    """Each tensor by transformers' name, in bfloat16 and in transformers' order of rows."""
    import numpy
    import torch
    from gguf.quants import dequantize

    heads = {
        "attn_q": config["num_attention_heads"],
        "attn_k": config["num_key_value_heads"],
    }
    for entry in reader.tensors:
        stem = re.sub(r"\.weight$", "", entry.name)
        match = re.match(r"blk\.(\d+)\.(\w+)$", stem)
        part = match.group(2) if match else stem
        if match and part in _LAYER_TENSORS:
            name = f"model.layers.{match.group(1)}.{_LAYER_TENSORS[part]}"
        elif stem in _TENSORS:
            name = _TENSORS[stem]
        else:
            raise CheckpointError(f"{path} holds {entry.name}, which is no part of a Llama model")
        try:
            values = dequantize(entry.data, entry.tensor_type)
            if part in heads:
                values = _unpermuted(values, heads[part])
        except (NotImplementedError, ValueError) as error:
            raise _damaged(path, error) from None
        array = numpy.array(values, dtype=numpy.float32, order="C")  # the file's own is read-only
        yield f"{name}.weight", torch.from_numpy(array).to(torch.bfloat16)


def _unpermuted(weights: Any, heads: int) -> Any:
    """Rows (heads x head, wide) of a query or key projection in transformers' order.

    llama.cpp turns neighbouring pairs of a head's rows, transformers its first half against its
    second, so llama.cpp's converter interleaves the two halves of every head.
    """
    halves = weights.reshape(heads, weights.shape[0] // heads // 2, 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)
