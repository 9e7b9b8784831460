"""Rules that hold for every tracked file, whoever wrote it."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "plugin" / "rasa_onramp"

#: Lines a module may have before it should become two; "about 300" with some slack.
LONGEST_MODULE = 330

#: Loading these can run code that the file's author chose.
UNSAFE_MODULES = ("cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve")

#: What belongs to one machine or network. The brackets keep a rule from finding itself.
LOCAL = {
    "a home folder": re.compile(r"(?<![\w.])/(?:root|home/[a-z][\w-]*|Users/[A-Za-z][\w-]*)/"),
    "this project's workplace": re.compile(r"(?<![\w./-])/wor[k]/"),
    "a package index": re.compile(
        r"(?:index-ur[l]|find-link[s]|trusted-hos[t])[= ]+\S*(?:://|/)"
        r"|https?://[^/\s]*(?:artifactor[y]|nexu[s]|devp[i])"
    ),
    "a private network": re.compile(r"https?://(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d"),
}


def tracked() -> List[Path]:
    """The files git tracks; without git (an unpacked archive), those it would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [
            path
            for path in REPOSITORY.rglob("*")
            for parts in [path.relative_to(REPOSITORY).parts]
            if not any(part.startswith(".") or part == "__pycache__" for part in parts)
        ]
    return [path for path in paths if path.is_file()]


@lru_cache(maxsize=1)
def texts() -> Tuple[Tuple[Path, str], ...]:
    """Tracked files that are text, with what they say."""
    contents = ((path, path.read_bytes()) for path in tracked())
    return tuple(
        (path.relative_to(REPOSITORY), content.decode("utf-8"))
        for path, content in contents
        if b"\0" not in content
    )


def unsafe_loads(source: str) -> Iterator[str]:
    """Where `source` imports or calls something that unpickles."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        for name in names:
            if name.split(".")[0] in UNSAFE_MODULES:
                yield f"line {node.lineno}: imports {name}"
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            owner = getattr(getattr(node.func, "value", None), "id", "")
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            only_weights = given.get("weights_only")
            if (owner, called) == ("torch", "load") and not (
                isinstance(only_weights, ast.Constant) and only_weights.value is True
            ):
                yield f"line {node.lineno}: torch.load without weights_only=True"
            if (owner, called) in (("np", "load"), ("numpy", "load")) and "allow_pickle" in given:
                yield f"line {node.lineno}: numpy.load with allow_pickle"


def test_nothing_unpickles() -> None:
    found = [
        f"{path}, {what}"
        for path, text in texts()
        if path.suffix == ".py"
        for what in unsafe_loads(text)
    ]
    assert found == []


@pytest.mark.parametrize("what", sorted(LOCAL))
def test_no_file_names(what: str) -> None:
    found = [
        f"{path}:{number}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if LOCAL[what].search(line)
    ]
    assert found == []


def test_modules_stay_short() -> None:
    lengths = {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_modules_say_what_they_are_for() -> None:
    silent = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_tracked_files_are_small() -> None:
    """Only checkpoints may weigh something; one of them at most 50 MB."""
    heavy = {
        str(path.relative_to(REPOSITORY)): path.stat().st_size
        for path in tracked()
        if path.stat().st_size > (50e6 if path.suffix == ".safetensors" else 1e6)
    }
    assert heavy == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", 1),
        ("from joblib import load", 1),
        ("import torch\ntorch.load(path)", 1),
        ("import torch\ntorch.load(path, weights_only=False)", 1),
        ("import torch\ntorch.load(path, weights_only=True)", 0),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", 1),
        ("from safetensors.torch import load_file", 0),
    ],
)
def test_the_search_for_unpickling(source: str, found: int) -> None:
    assert len(list(unsafe_loads(source))) == found


@pytest.mark.parametrize(
    ("what", "line", "found"),
    [
        ("a home folder", "/" + "home/ann/.cache", True),
        ("a home folder", "/homepage/", False),
        ("this project's workplace", "cd /wor" + "k/main", True),
        ("this project's workplace", "docs/work/", False),
        ("a package index", "--index-" + "url https://mirror.example/simple", True),
        ("a package index", "https://pypi.org/project/rasa", False),
        ("a private network", "http://" + "10.0.0.5:8080", True),
    ],
)
def test_the_search_for_addresses(what: str, line: str, found: bool) -> None:
    assert bool(LOCAL[what].search(line)) == found
