"""Trackers written and read back; files that were touched are refused in one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Type

import pytest
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.batch import collate
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker
from tiny_tracker import CAFE, booking, in_one_pass, prompt_of, tiny_tracker, tokenizer_json


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    tracker = tiny_tracker(seed=4, rank=2, steps=3, spread=3.0)
    tracker.training_services = ("Hotels_1", "Buses_1")
    tracker.card = {"adaptation": {"steps": 3, "optimiser": "adam"}, "note": "é"}
    return tracker


@pytest.fixture(scope="module")
def written(tracker: StateTracker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tracker, folder / "new" / "folder", tokenizer_json())
    return folder / "new" / "folder"


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(written, tmp_path / "copy"))


def test_a_tracker_comes_back_to_half_precision(tracker: StateTracker, written: Path) -> None:
    loaded = load_tracker(written)
    assert loaded.training_services == tracker.training_services
    assert loaded.card == tracker.card
    assert loaded.encoder.config == tracker.encoder.config
    assert len(loaded.digest) == 64

    def all_tensors(which: StateTracker) -> Dict[str, torch.Tensor]:
        return {**which.encoder.state_dict(), **which.weights}

    kept = all_tensors(loaded)
    assert set(kept) == set(all_tensors(tracker))
    for name, value in all_tensors(tracker).items():
        assert kept[name].dtype == torch.float32
        assert torch.equal(kept[name], value.half().float()), name
    assert set(loaded.rates) == set(tracker.rates)
    for name, rate in tracker.rates.items():
        assert torch.equal(loaded.rates[name], rate)  # rates are small: kept whole
    assert not any(p.requires_grad for p in loaded.encoder.parameters())


def test_a_loaded_tracker_tracks_as_before(tracker: StateTracker, written: Path) -> None:
    loaded = load_tracker(written)
    batch = collate([prompt_of(booking(0).turns, 0, 2, 4)])
    with torch.no_grad():
        before, after = in_one_pass(tracker, batch), in_one_pass(loaded, batch)
    torch.testing.assert_close(before.start, after.start, rtol=1e-2, atol=2e-2)
    once = track_dialogues(loaded, CAFE, [booking(0)])
    assert once == track_dialogues(load_tracker(written), CAFE, [booking(0)])


def test_the_digest_is_of_the_weights(written: Path, tmp_path: Path) -> None:
    tracker = tiny_tracker(seed=4, rank=2, steps=3, spread=3.0)
    digest = save_tracker(tracker, tmp_path, tokenizer_json())
    content = (tmp_path / "tracker.safetensors").read_bytes()
    assert digest == hashlib.sha256(content).hexdigest() == load_tracker(written).digest
    tracker.weights["offer.weight"] = tracker.weights["offer.weight"] + 1
    assert save_tracker(tracker, tmp_path, tokenizer_json()) != digest
    assert load_tracker(tmp_path).digest != digest  # an earlier one is overwritten
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["tokenizer.json", "tracker.json", "tracker.safetensors"]


def edit(folder: Path, **changes: object) -> None:
    path = folder / "tracker.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["encoder"].update(changes.pop("encoder", {}))  # type: ignore[call-overload]
    path.write_text(json.dumps({**config, **changes}), encoding="utf-8")


def truncate(name: str, share: float) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return spoil


def flip(folder: Path) -> None:
    path = folder / "tracker.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def larger_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["unheard-of"])
    tokenizer.save(str(folder / "tokenizer.json"))


SPOILERS: Dict[str, Callable[[Path], object]] = {
    "no weights": lambda folder: (folder / "tracker.safetensors").unlink(),
    "no config": lambda folder: (folder / "tracker.json").unlink(),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "truncated weights": truncate("tracker.safetensors", 0.7),
    "empty weights": truncate("tracker.safetensors", 0),
    "truncated config": truncate("tracker.json", 0.5),
    "empty config": truncate("tracker.json", 0),
    "a larger tokenizer": larger_tokenizer,
    "truncated tokenizer": truncate("tokenizer.json", 0.5),
    "one bit flipped": flip,
    "another digest": lambda folder: edit(folder, sha256="0" * 64),
    "no digest": lambda folder: edit(folder, sha256=None),
    "another size": lambda folder: edit(folder, encoder={"hidden_size": 64}),
    "fewer layers": lambda folder: edit(folder, encoder={"num_hidden_layers": 1}),
    "odd heads": lambda folder: edit(folder, encoder={"num_attention_heads": 5}),
    "an unknown size": lambda folder: edit(folder, encoder={"experts": 8}),
    "a small vocabulary": lambda folder: edit(folder, encoder={"vocab_size": 100}),
    "a list": lambda folder: (folder / "tracker.json").write_text("[]", encoding="utf-8"),
    "not utf-8": lambda folder: (folder / "tracker.json").write_bytes(b"\xff\xfe{"),
    "a card that is none": lambda folder: edit(folder, card=None),
    "a later format": lambda folder: edit(folder, format=2),
}


@pytest.mark.parametrize("what", sorted(SPOILERS))
def test_spoiled_files_are_refused_in_one_line(what: str, folder: Path) -> None:
    SPOILERS[what](folder)
    with pytest.raises(CheckpointError) as caught:
        load_tracker(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    assert message.endswith("; reinstall rasa-onramp or give a folder written by meta-train")


def test_a_device_without_room_is_told(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tracker: StateTracker, device: str) -> StateTracker:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(StateTracker, "to", full)
    with pytest.raises(CheckpointError) as caught:
        load_tracker(written, device="cuda")
    told = "the tracker can't be put on cuda (CUDA out of memory); free it, or use the CPU"
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        ("safetensors.torch.save_file", SafetensorError),  # it has no OSError
        ("rasa_onramp.checkpoint_files.json.dumps", OSError),
    ],
)
def test_a_save_that_fails_leaves_what_was_there(
    failing: str,
    error: Type[Exception],
    written: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error("no space left on device")

    monkeypatch.setattr(failing, full)
    with pytest.raises(OSError, match="no space"):
        save_tracker(tiny_tracker(seed=9, rank=2, steps=3), folder, b"{}")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in written.iterdir()
    }


def test_a_save_that_is_killed_leaves_no_half(
    written: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New weights beside the old config aren't taken for either."""
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.name == "tracker.json":
            raise SystemExit
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit):
        save_tracker(tiny_tracker(seed=9, rank=2, steps=3), folder, tokenizer_json())
    with pytest.raises(CheckpointError, match="is not what its digest says"):
        load_tracker(folder)
    assert sorted(os.listdir(folder)) == sorted(os.listdir(written))


def test_the_tracker_moves_as_a_whole(written: Path) -> None:
    loaded = load_tracker(written, device="meta")
    tensors = [*loaded.encoder.parameters(), *loaded.weights.values(), *loaded.rates.values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert loaded.device.type == "meta"
