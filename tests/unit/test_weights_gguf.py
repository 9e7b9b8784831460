"""Reading llama.cpp's files: the same model as transformers computes, and no half of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights import check_weights
from rasa_onramp.weights.gguf_file import convert
from tiny_llama import CONFIG, TEMPLATE, random_weights, write_gguf

gguf = pytest.importorskip("gguf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    return made


def test_each_tensor_comes_back_as_it_was(tmp_path: Path, folder: Path) -> None:
    """Values that bfloat16 holds exactly, in transformers' order of rows."""
    weights = random_weights()
    convert(write_gguf(tmp_path / "tiny.gguf", weights), folder)
    found = load_file(folder / "model.safetensors")
    assert set(found) == set(weights)
    for name, tensor in found.items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor.float(), torch.from_numpy(weights[name])), name
    check_weights(folder)


def test_transformers_computes_with_it_what_it_does_with_the_original(
    tmp_path: Path, folder: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    weights = random_weights()
    convert(write_gguf(tmp_path / "tiny.gguf", weights), folder)
    original = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG)).eval()
    original.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    read = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    prompt = torch.tensor([[1, 40, 50, 60, 70, 2]])
    with torch.no_grad():
        assert torch.allclose(original(prompt).logits, read(prompt).logits, atol=1e-5)
    assert (read.config.bos_token_id, read.config.eos_token_id, read.config.pad_token_id) == (
        1,
        2,
        2,
    )


def test_quantised_tensors_are_dequantised(tmp_path: Path, folder: Path) -> None:
    weights = random_weights()
    convert(write_gguf(tmp_path / "tiny.gguf", weights, quantised=True), folder)
    found = load_file(folder / "model.safetensors")
    kind = gguf.GGMLQuantizationType.Q4_1
    for name, tensor in found.items():
        wanted = weights[name]
        if wanted.ndim == 2:  # rows are quantised by themselves, so their order plays no part
            wanted = gguf.quants.dequantize(gguf.quants.quantize(wanted, kind), kind)
            assert np.abs(wanted - weights[name]).max() > 0
        assert torch.equal(tensor, torch.from_numpy(wanted).to(torch.bfloat16)), name


def test_the_tokeniser_is_smollm2s_kind(tmp_path: Path, folder: Path) -> None:
    convert(write_gguf(tmp_path / "tiny.gguf", random_weights()), folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoded = tokenizer.encode("<|im_start|>hello 25é<|im_end|>")
    assert encoded.tokens == ["<|im_start|>", "hello", "Ġ", "2", "5", "Ã", "©", "<|im_end|>"]
    assert tokenizer.decode(encoded.ids) == "hello 25é"
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {key: settings[f"{key}_token"] for key in ("bos", "eos", "pad", "unk")}
    assert special == {
        "bos": "<|im_start|>",
        "eos": "<|im_end|>",
        "pad": "<|im_end|>",
        "unk": "<|endoftext|>",
    }
    assert (settings["chat_template"], settings["model_max_length"]) == (TEMPLATE, 128)


@pytest.mark.parametrize("kept", [0, 3, 100, 6000, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, folder: Path, kept: float) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", random_weights())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(CheckpointError, match=r"tiny\.gguf is no whole GGUF file"):
        convert(path, folder)
    assert list(folder.iterdir()) == []


def test_garbage_is_refused(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(CheckpointError, match=r"tiny\.gguf is no whole GGUF file"):
        convert(path, folder)


@pytest.mark.parametrize(
    "changes",
    [{"architecture": "gptneox"}, {"tokenizer_pre": "llama-bpe"}, {"tokenizer_model": "llama"}],
)
def test_what_we_do_not_know_is_refused(tmp_path: Path, folder: Path, changes: dict) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", random_weights(), **changes)
    with pytest.raises(CheckpointError, match=r"no whole GGUF file of a known kind"):
        convert(path, folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda weights: weights.pop("model.norm.weight"), "lacks 1 tensors, as model.norm"),
        (
            lambda weights: weights.update({"model.norm.weight": np.ones(32, np.float32)}),
            "fits no such model",
        ),
    ],
)
def test_missing_and_misshapen_tensors_are_refused(
    tmp_path: Path, folder: Path, change: object, says: str
) -> None:
    weights = random_weights()
    change(weights)  # type: ignore[operator]
    path = write_gguf(tmp_path / "tiny.gguf", weights)
    with pytest.raises(CheckpointError, match=says):
        convert(path, folder)


def test_without_the_package_gguf_the_mend_is_named(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", random_weights())
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(CheckpointError, match=r"pip install 'rasa-onramp\[generator\]'"):
        convert(path, folder)
