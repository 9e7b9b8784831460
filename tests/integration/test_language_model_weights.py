"""The replies' language model as `rasa-onramp weights` left it on this machine: the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from language_model import lend_language_model
from needed import lacking
from rasa_onramp.weights import LANGUAGE_MODEL, check_weights, resolve_language_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The real model's folder, where it has been fetched."""
    if not lend_language_model(tmp_path / "rasa-onramp-home"):
        lacking("the language model isn't here; run `rasa-onramp weights`")
    return resolve_language_model()


def test_it_is_whole(folder: Path) -> None:
    check_weights(folder)


def test_it_knows_the_capital_of_france(folder: Path) -> None:
    """Queries and keys in the wrong order of rows would make it say anything."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        logits = model(**prompt).logits[0, -1]
    assert tokenizer.decode(logits.argmax()) == " Paris"

    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    assert chat["input_ids"][0, 0] == tokenizer.bos_token_id
    written = model.generate(**chat, max_new_tokens=12, do_sample=False)[0]
    assert written[-1] == tokenizer.eos_token_id  # it ends by itself, where it should
    assert "Paris" in tokenizer.decode(written[chat["input_ids"].shape[1] :])


def test_its_special_tokens_are_the_originals(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert LANGUAGE_MODEL == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (tokenizer.bos_token, tokenizer.bos_token_id) == ("<|im_start|>", 1)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert (tokenizer.pad_token, tokenizer.unk_token) == ("<|im_end|>", "<|endoftext|>")
    text = "I'd like 2 tickets for 7:30pm in Zürich.\n{restaurant_name}"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer.tokenize("2019") == ["2", "0", "1", "9"]
