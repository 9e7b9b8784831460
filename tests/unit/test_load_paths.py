"""Whatever we read weights with, ours or a library's, looks up no class that a pickle names.

Python tells an audit hook of every one: the whole way from the files to tensors is watched, in a
process of its own because hooks can't be taken away.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import environment
from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.weights.files import flaw
from tiny_replies import write_folder

_WATCH = """
import sys
found = []
sys.addaudithook(lambda event, given: found.append(given) if event == "pickle.find_class" else None)
"""

_LOAD = """
from pathlib import Path
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.metalearning.lora import adapter_from_bytes, adapter_to_bytes
from rasa_onramp.runtime.background import load_background
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.sentences import SentenceEncoder
from rasa_onramp.weights import check_weights

tracker = load_tracker()
adapter_from_bytes(adapter_to_bytes(tracker.weights))
SentenceEncoder.load().embed(["where is my parcel"])
load_background()
check_weights(Path({folder!r}))
ReplyModel.load({folder!r}, "tiny")
"""

_UNPICKLE = """
import pickle
from collections import OrderedDict
pickle.loads(pickle.dumps(OrderedDict()))
"""


def looked_up(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"{_WATCH}{program}\nprint(found)"],
        env=environment(USE_TF="0"),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_the_hook_sees_pickles() -> None:
    assert "OrderedDict" in looked_up(_UNPICKLE)


def test_no_weights_are_unpickled(tmp_path: Path) -> None:
    assert looked_up(_LOAD.format(folder=str(write_folder(tmp_path)))) == "[]"


def test_a_model_that_is_only_pickled_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert flaw(folder) is not None
    with pytest.raises(CheckpointError):
        ReplyModel.load(folder, "tiny")


@pytest.mark.parametrize("kind", ["llama", "nobody-knows"])
def test_python_that_comes_with_a_model_is_not_run(tmp_path: Path, kind: str) -> None:
    """Nor is anybody asked whether it may be."""
    folder = write_folder(tmp_path / "model")
    ran = tmp_path / "ran"
    (folder / "modeling_x.py").write_text(f"open({str(ran)!r}, 'w')\nclass X: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config.update(
        model_type=kind,
        auto_map={"AutoConfig": "modeling_x.X", "AutoModelForCausalLM": "modeling_x.X"},
    )
    (folder / "config.json").write_text(json.dumps(config))
    if kind == "llama":
        ReplyModel.load(folder, "tiny")
    else:
        with pytest.raises(CheckpointError):
            ReplyModel.load(folder, "tiny")
    assert not ran.exists()
