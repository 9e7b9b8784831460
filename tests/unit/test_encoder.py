"""Our BERT encoder against transformers' own, its attention paths, and sentence embeddings."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.encoder import Encoder, EncoderConfig
from rasa_onramp.tracker.sentences import SentenceEncoder
from rasa_onramp.weights import resolve_encoder
from tiny_tracker import CONFIG, shared_tokens, tokenizer_json

SENTENCES = [
    "Where is my parcel?",
    "I'd like to move the delivery to Friday afternoon, if that is at all possible.",
    "Can you find my package",
]


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return Encoder.load().eval()


@pytest.fixture(scope="module")
def sentences() -> SentenceEncoder:
    return SentenceEncoder.load()


@pytest.fixture(scope="module")
def reference():
    """transformers' BertModel with the same weights."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("USE_TF", "0")  # or it imports TensorFlow, which takes longer than all else
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
        model = transformers.BertModel.from_pretrained(str(resolve_encoder()))
    return model.eval()


def padded(texts):
    """Ids (batch, tokens) and which of them are real."""
    tokens = shared_tokens()
    rows = [[tokens.cls, *tokens.encode(text)[0], tokens.sep] for text in texts]
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])


def encode(encoder: Encoder, ids, valid, **how):
    positions = torch.arange(ids.shape[1]).expand_as(ids)
    mask = valid.bool()[:, None, :].expand(-1, ids.shape[1], -1)
    return encoder(encoder.word_embed(ids), positions, mask, **how)


@pytest.fixture
def tiny() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Encoder(CONFIG)


def test_outputs_are_those_of_bert_model(minilm: Encoder, reference) -> None:
    ids, valid = padded(SENTENCES)
    with torch.no_grad():
        ours, _ = encode(minilm, ids, valid)
        theirs = reference(input_ids=ids, attention_mask=valid).last_hidden_state
    real = valid.bool()
    assert valid.sum(1).unique().numel() > 1  # there is padding to get wrong
    torch.testing.assert_close(ours[real], theirs[real], rtol=1e-4, atol=1e-5)


def test_sentence_embeddings_are_mean_pooled_bert(sentences: SentenceEncoder, reference) -> None:
    ids, valid = padded(SENTENCES)
    with torch.no_grad():
        hidden = reference(input_ids=ids, attention_mask=valid).last_hidden_state
    weight = valid[..., None].float()
    wanted = F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)
    torch.testing.assert_close(sentences.embed(SENTENCES), wanted, rtol=1e-4, atol=1e-5)


def test_sentence_embeddings_are_normalised_and_independent_of_batching(
    sentences: SentenceEncoder,
) -> None:
    together = sentences.embed(SENTENCES)
    assert together.shape == (3, 384)
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(3))
    by_two = sentences.embed(SENTENCES, batch_size=2)
    torch.testing.assert_close(by_two, together, atol=1e-5, rtol=0)
    assert sentences.embed([]).shape == (0, 384)
    likeness = sentences.embed([*SENTENCES, "The soup was too salty."]) @ together[0]
    assert likeness[2] > likeness[1] > likeness[3] + 0.2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_text_alone_is_embedded_as_among_others(
    sentences: SentenceEncoder, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("rasa_onramp.tracker.sentences.matrix_type", lambda kind: dtype)
    fresh = SentenceEncoder(sentences.encoder, sentences.tokenizer)
    texts = ["", "hi", *SENTENCES, "parcel " * 600]
    alone = torch.cat([fresh.embed([text]) for text in texts])
    error = 1e-5 if dtype == torch.float32 else 0.01
    torch.testing.assert_close(alone, sentences.embed(texts), atol=error, rtol=0)
    torch.testing.assert_close(alone.norm(dim=-1), torch.ones(len(texts)))
    assert next(sentences.encoder.parameters()).dtype == torch.float32


def test_a_word_with_an_emoji_attached_is_embedded(sentences: SentenceEncoder) -> None:
    for text in ("where's my parcel📦", "where's my parcel❤️"):
        plain = sentences.embed(["where's my parcel"])
        torch.testing.assert_close(sentences.embed([text]), plain)
        torch.testing.assert_close(sentences.embed([text, "hi"])[:1], plain, atol=0.01, rtol=0)


def test_texts_beyond_the_limit_are_cut(sentences: SentenceEncoder) -> None:
    long = "parcel " * 600
    torch.testing.assert_close(sentences.embed([long]), sentences.embed(["parcel " * 126]))


def test_fused_and_plain_attention_agree(tiny: Encoder) -> None:
    ids, valid = padded(SENTENCES)
    fused, _ = encode(tiny, ids, valid)
    plain, _ = encode(tiny, ids, valid, math_attention=True)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)


def test_plain_attention_has_second_derivatives(tiny: Encoder) -> None:
    ids, valid = padded(SENTENCES[:1])
    weight = tiny.encoder["layer"][0].attention["self"]["query"].weight
    hidden, _ = encode(tiny, ids, valid, math_attention=True)
    (first,) = torch.autograd.grad(hidden.pow(2)[..., 0].sum(), weight, create_graph=True)
    (second,) = torch.autograd.grad(first.pow(2).sum(), weight)
    assert second.abs().sum() > 0


def test_what_the_mask_hides_has_no_influence(tiny: Encoder) -> None:
    ids, _ = padded(SENTENCES[:1])
    other = ids.clone()
    other[0, 4] += 100
    mask = torch.ones(1, ids.shape[1], ids.shape[1], dtype=torch.bool)
    mask[:, :, 4] = False
    mask[:, 4, 4] = True
    positions = torch.arange(ids.shape[1])[None]
    before, _ = tiny(tiny.word_embed(ids), positions, mask)
    after, _ = tiny(tiny.word_embed(other), positions, mask)
    seen = [i for i in range(ids.shape[1]) if i != 4]
    torch.testing.assert_close(before[:, seen], after[:, seen])
    assert not torch.allclose(before[:, 4], after[:, 4])


def test_kept_keys_and_values_continue_a_text(tiny: Encoder) -> None:
    ids, _ = padded(SENTENCES[1:2])
    length, cut = ids.shape[1], 5
    causal = torch.ones(length, length, dtype=torch.bool).tril()[None]
    positions = torch.arange(length)[None]
    words = tiny.word_embed(ids)
    whole, nothing = tiny(words, positions, causal)
    _, past = tiny(words[:, :cut], positions[:, :cut], causal[:, :cut, :cut], keep=True)
    rest, _ = tiny(words[:, cut:], positions[:, cut:], causal[:, cut:], past=past)
    assert nothing is None
    torch.testing.assert_close(rest, whole[:, cut:], rtol=1e-4, atol=1e-5)


def test_low_rank_updates_reach_every_named_layer(tiny: Encoder) -> None:
    ids, valid = padded(SENTENCES[:1])
    plain, _ = encode(tiny, ids, valid)
    sizes = {"intermediate.dense": (32, 64), "output.dense": (64, 32)}
    for layer in (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ):
        into, out = sizes.get(layer, (32, 32))
        name = f"encoder.layer.1.{layer}"
        lora = {f"{name}.lora_A.weight": torch.randn(2, into)}
        lora[f"{name}.lora_B.weight"] = torch.randn(out, 2)
        changed, _ = encode(tiny, ids, valid, lora=lora)
        assert not torch.allclose(plain, changed, atol=1e-3), layer
        # the same as adding B A to the layer's weight
        linear = tiny.get_submodule(name)
        update = lora[f"{name}.lora_B.weight"] @ lora[f"{name}.lora_A.weight"]
        with torch.no_grad():
            linear.weight += update
            merged, _ = encode(tiny, ids, valid)
            linear.weight -= update
        torch.testing.assert_close(changed, merged, rtol=1e-3, atol=1e-4)


@pytest.fixture
def folder(tiny: Encoder, tmp_path: Path) -> Path:
    """A saved encoder, named as in files of BertForPreTraining."""
    config = {"model_type": "bert", "hidden_act": "gelu", **asdict(CONFIG)}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    tensors = {f"bert.{k}": v.contiguous() for k, v in tiny.state_dict().items()}
    tensors["cls.predictions.bias"] = torch.zeros(3)
    save_file(tensors, str(tmp_path / "model.safetensors"))
    return tmp_path


def test_files_with_a_prefix_load(folder: Path, tiny: Encoder) -> None:
    loaded = Encoder.load(folder)
    assert loaded.config == CONFIG
    for name, value in tiny.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        Encoder.load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_another_kind_of_model_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "roberta"}', encoding="utf-8")
    refused(folder, "'roberta', but only BERT")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_act", "relu"),
        ("hidden_act", "gelu_new"),
        ("position_embedding_type", "relative_key"),
    ],
)
def test_an_encoder_that_computes_otherwise_is_refused(folder: Path, name: str, value: str) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, name: value}), encoding="utf-8")
    refused(folder, f"{name} is '{value}', but only encoders with '(gelu|absolute)' can be used")


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_an_unreadable_config_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    refused(folder, "config.json can't be read|model type None, but only BERT")


def test_truncated_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    refused(folder, "model.safetensors can't be read .*fetch it anew")


def test_weights_of_another_shape_are_refused(folder: Path, tiny: Encoder) -> None:
    tensors = {k: v.contiguous() for k, v in tiny.state_dict().items()}
    tensors["encoder.layer.1.output.dense.bias"] = torch.zeros(5)
    save_file(tensors, str(folder / "model.safetensors"))
    refused(folder, r"encoder\.layer\.1\.output\.dense\.bias")
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, str(folder / "model.safetensors"))
    refused(folder, r"encoder\.layer\.1\.output\.dense\.bias")


def test_config_defaults_are_those_of_minilm() -> None:
    assert EncoderConfig.from_folder(resolve_encoder()) == EncoderConfig()
