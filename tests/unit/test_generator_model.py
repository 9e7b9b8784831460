"""The language model under its updates, compared with transformers' own figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Sequence

import pytest
import torch
from torch import Tensor

from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed, pack
from rasa_onramp.generator.prompt import Exchange
from tiny_replies import SCHEMA, random_updates, shared_tokens, tiny_llama, tiny_model, write_folder

pytest.importorskip("transformers")


def sequence(*replies: str) -> Packed:
    asked = [Exchange(f"User: {number}\nFacts: track\nBot:", r) for number, r in enumerate(replies)]
    return pack(shared_tokens(), SCHEMA, asked)


LONG = sequence("Parcel {tracking_number} is {status}.", "Goodbye!")
SHORT = sequence("Done.")


def theirs(llama: Any, sequences: Sequence[Packed]) -> Tensor:
    """transformers' loss, with -100 for what isn't learned."""
    longest = max(len(each.ids) for each in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, each in enumerate(sequences):
        length = len(each.ids)
        ids[row, :length] = torch.from_numpy(each.ids)
        mask[row, :length] = 1
        labels[row, :length] = torch.where(torch.from_numpy(each.learned), ids[row, :length], -100)
    with torch.no_grad():
        return llama(input_ids=ids, attention_mask=mask, labels=labels).loss


def merged(updates: Dict[str, Tensor]) -> Any:
    """The same Llama with W + B A for every W."""
    llama = tiny_llama()
    with torch.no_grad():
        for name, a in updates.items():
            if name.endswith(".lora_A.weight"):
                layer = name[: -len(".lora_A.weight")]
                llama.model.get_submodule(layer).weight += updates[f"{layer}.lora_B.weight"] @ a
    return llama


@pytest.fixture(scope="module")
def model() -> ReplyModel:
    return tiny_model()


@pytest.mark.parametrize("sequences", [[LONG], [SHORT, LONG]])
def test_updates_that_change_nothing_change_nothing(
    model: ReplyModel, sequences: Sequence[Packed]
) -> None:
    with torch.no_grad():
        plain = model.loss(sequences)
        started = model.loss(sequences, model.initial_weights(3))
    torch.testing.assert_close(plain, theirs(tiny_llama(), sequences))
    assert torch.equal(started, plain)


@pytest.mark.parametrize("sequences", [[LONG], [SHORT, LONG]])
def test_an_update_is_added_to_its_layer(model: ReplyModel, sequences: Sequence[Packed]) -> None:
    updates = random_updates(model)
    with torch.no_grad():
        found = model.loss(sequences, updates)
        assert abs(found - model.loss(sequences)) > 1e-3
    torch.testing.assert_close(found, theirs(merged(updates), sequences), rtol=1e-4, atol=1e-5)


def test_a_models_own_updates_are_used_unless_others_are_given() -> None:
    model = tiny_model()
    updates = random_updates(model)
    with torch.no_grad():
        plain, found = model.loss([SHORT]), model.loss([SHORT], updates)
        model.weights = updates
        assert torch.equal(model.loss([SHORT]), found)
        assert torch.equal(model.loss([SHORT], {}), plain)
        few = {name: value for name, value in updates.items() if "layers.1.mlp" in name}
        torch.testing.assert_close(
            model.loss([SHORT], few), theirs(merged(few), [SHORT]), rtol=1e-4, atol=1e-5
        )


def test_each_row_may_have_updates_of_its_own(model: ReplyModel) -> None:
    one, two = random_updates(model, seed=1), random_updates(model, seed=2)
    rows = {name: torch.stack([one[name], two[name]]) for name in one}
    with torch.no_grad():
        together = model.loss([LONG, SHORT], rows)
        first, second = model.loss([LONG], one), model.loss([SHORT], two)
    n, m = LONG.learned.sum().item(), SHORT.learned.sum().item()
    torch.testing.assert_close(together, (n * first + m * second) / (n + m), rtol=1e-4, atol=1e-5)


def test_updates_are_taken_off_again(model: ReplyModel) -> None:
    updates = random_updates(model)
    with torch.no_grad():
        plain = model.loss([SHORT])
        with pytest.raises(ZeroDivisionError), model.using(updates):
            raise ZeroDivisionError
        assert torch.equal(model.loss([SHORT]), plain)
        half = {name: value for name, value in updates.items() if ".layers.0" not in name}
        half.pop("layers.1.mlp.down_proj.lora_B.weight")
        with pytest.raises(KeyError):
            model.loss([SHORT], half)
        assert torch.equal(model.loss([SHORT]), plain)


def test_only_updates_get_gradients_and_embeddings_stay_tied() -> None:
    model = tiny_model()
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    updates = {k: v.requires_grad_(True) for k, v in random_updates(model).items()}
    model.loss([LONG, SHORT], updates).backward()
    for name, value in updates.items():
        assert value.grad is not None and value.grad.abs().max() > 1e-6, name
    for name, parameter in model.model.named_parameters():
        assert not parameter.requires_grad and parameter.grad is None, name
    words, head = model.model.get_input_embeddings(), model.model.get_output_embeddings()
    assert words.weight is head.weight
    assert all(torch.equal(before[k], v) for k, v in model.model.state_dict().items())


def test_nothing_learned_costs_nothing(model: ReplyModel) -> None:
    silent = SHORT._replace(learned=SHORT.learned & False)
    assert model.loss([silent]).item() == 0
    with torch.no_grad():  # and doesn't thin out the others
        torch.testing.assert_close(model.loss([LONG, silent]), model.loss([LONG]))


def test_initial_updates_are_for_every_layer_below_the_head(model: ReplyModel) -> None:
    found = model.initial_weights(3, seed=5)
    layers = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
    layers += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    names = [f"layers.{n}.{layer}" for n in (0, 1) for layer in layers]
    assert sorted(found) == sorted(f"{n}.lora_{x}.weight" for n in names for x in "AB")
    assert found["layers.0.mlp.down_proj.lora_A.weight"].shape == (3, 48)
    assert found["layers.0.mlp.down_proj.lora_B.weight"].shape == (32, 3)
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert bool(value.any()) is (".lora_A" in name)
        assert value.abs().max() <= 32**-0.5
    again, other = model.initial_weights(3, seed=5), model.initial_weights(3, seed=6)
    assert all(torch.equal(again[name], value) for name, value in found.items())
    assert not torch.equal(
        other["layers.0.mlp.down_proj.lora_A.weight"], again["layers.0.mlp.down_proj.lora_A.weight"]
    )


def test_a_folder_is_read_in_half_precision(tmp_path: Path) -> None:
    model = ReplyModel.load(write_folder(tmp_path), "tiny", attention="eager")
    assert (model.name, model.dtype, model.device.type) == ("tiny", torch.bfloat16, "cpu")
    assert (model.weights, model.rates, model.digest) == ({}, {}, "")
    assert model.model.config._attn_implementation == "eager"
    assert model.tokens.ids("where is AB12") == shared_tokens().ids("where is AB12")
    with torch.no_grad():
        loss = model.loss([LONG], model.initial_weights(2))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, theirs(tiny_llama(), [LONG]), rtol=3e-2, atol=0)


@pytest.mark.parametrize("what", ["nothing", "a tokenizer alone", "half of it", "noise"])
def test_a_folder_that_is_no_model_is_refused(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    if what != "nothing":
        folder.mkdir()
        weights = write_folder(folder) / "model.safetensors"
        if what == "a tokenizer alone":
            weights.unlink()
            (folder / "config.json").unlink()
        elif what == "half of it":
            weights.write_bytes(weights.read_bytes()[:5000])
        else:
            (folder / "config.json").write_text("noise")
    with pytest.raises(CheckpointError) as caught:
        ReplyModel.load(folder, "tiny")
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_a_config_that_asks_for_more_than_there_is_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"lacks 9 tensors that its config\.json asks for"):
        ReplyModel.load(folder, "tiny")


def test_a_model_without_linear_layers_is_refused() -> None:
    """GPT-2's are convolutions."""
    from transformers import GPT2Config, GPT2LMHeadModel

    other = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=384))
    with pytest.raises(CheckpointError, match="'gpt2' has no linear layers to adapt"):
        ReplyModel(other, shared_tokens(), "gpt2")
