"""Low-rank updates and their files."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from rasa_onramp.errors import CheckpointError
from rasa_onramp.metalearning.lora import (
    ADAPTED_LAYERS,
    Adapter,
    adapter_from_bytes,
    adapter_to_bytes,
    initial_lora,
)
from rasa_onramp.tracker.batch import collate
from tiny_tracker import CONFIG, booking, in_one_pass, prompt_of, tiny_tracker


def test_fresh_updates_change_nothing_and_trained_ones_do() -> None:
    tracker = tiny_tracker(seed=1, spread=3.0)
    lora = initial_lora(CONFIG, 4, generator=torch.Generator().manual_seed(0))
    batch = collate([prompt_of(booking(0).turns, 0, 2, 4)])
    with torch.no_grad():
        plain = in_one_pass(tracker, batch)
        fresh = in_one_pass(tracker, batch, {**tracker.weights, **lora})
    assert torch.equal(plain.start, fresh.start) and torch.equal(plain.end, fresh.end)
    for name in lora:
        if not name.endswith("lora_B.weight"):
            continue
        changed = {**tracker.weights, **lora, name: torch.randn(lora[name].shape)}
        with torch.no_grad():
            other = in_one_pass(tracker, batch, changed)
        assert not torch.allclose(plain.start, other.start, atol=1e-4), name


def test_updates_have_the_shapes_of_their_layers() -> None:
    lora = initial_lora(CONFIG, 4)
    encoder = tiny_tracker().encoder
    assert len(lora) == 2 * len(ADAPTED_LAYERS) * CONFIG.num_hidden_layers
    for index in range(CONFIG.num_hidden_layers):
        for layer in ADAPTED_LAYERS:
            name = f"encoder.layer.{index}.{layer}"
            linear = encoder.get_submodule(name)
            assert lora[f"{name}.lora_A.weight"].shape == (4, linear.in_features)
            assert lora[f"{name}.lora_B.weight"].shape == (linear.out_features, 4)


def test_the_same_seed_gives_the_same_updates() -> None:
    def drawn(seed: int):
        return initial_lora(CONFIG, 2, generator=torch.Generator().manual_seed(seed))

    name = "encoder.layer.0.attention.self.query.lora_A.weight"
    assert torch.equal(drawn(1)[name], drawn(1)[name])
    assert not torch.equal(drawn(1)[name], drawn(2)[name])


def test_an_adapter_is_its_mapping_of_copies() -> None:
    weights = tiny_tracker(rank=2).weights
    adapter = Adapter(weights)
    mapping = adapter()
    assert list(mapping) == list(weights) == list(adapter.names)
    assert len(list(adapter.parameters())) == len(weights)
    for (name, value), parameter in zip(mapping.items(), adapter.parameters()):
        assert value is parameter
        assert torch.equal(value, weights[name])
        assert value.data_ptr() != weights[name].data_ptr()


def test_bytes_come_back_to_half_precision() -> None:
    weights = {k: v + 0.1 for k, v in tiny_tracker(rank=2).weights.items()}
    weights["offer.weight"].requires_grad_(True)
    weights["flag.weight"] = weights["flag.weight"].T  # not contiguous
    data = adapter_to_bytes(weights)
    found = adapter_from_bytes(data)
    assert set(found) == set(weights)
    for name, value in weights.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], value.detach().half().float()), name
    assert adapter_to_bytes(found) == data  # rounding once is rounding for good


def test_files_have_pefts_names() -> None:
    names = set(load(adapter_to_bytes(initial_lora(CONFIG, 2))))
    assert "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight" in names
    assert all(name.startswith("base_model.model.") for name in names)
    for name in names:
        assert name.rsplit(".", 2)[1:] in (["lora_A", "weight"], ["lora_B", "weight"])


GOOD = adapter_to_bytes({"offer.weight": torch.arange(3.0), "flag.weight": torch.ones(2, 2)})


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", GOOD[:-1], GOOD[:9], GOOD + b"\0", b"\xff" * 64, save({"a": torch.ones(1)})],
    ids=["empty", "short", "truncated", "header only", "too long", "noise", "another's"],
)
def test_what_is_no_adapter_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(CheckpointError) as caught:
        adapter_from_bytes(data)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; adapt the domain again")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, len(GOOD)))
@settings(max_examples=300)
def test_damage_is_refused_or_harmless(place: int, byte: int, length: int) -> None:
    data = bytearray(GOOD)
    data[place] = byte
    try:
        found = adapter_from_bytes(bytes(data[:length]))
    except CheckpointError:
        return
    assert all(isinstance(value, torch.Tensor) for value in found.values())
