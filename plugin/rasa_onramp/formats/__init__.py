"""Dialogue files: `read` finds the format and gives a Corpus, or a FormatError that says where.

    yaml   our own: one file a domain, schema and dialogues (read and written)
    sgd    a folder in the format of the Schema-Guided Dialogue dataset

docs/formats.md describes both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Collection, Mapping, Optional, Union

from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.wording import did_you_mean, quote

__all__ = ["FORMATS", "read"]

Services = Optional[Collection[str]]


def read(path: Union[str, Path], format: Optional[str] = None, services: Services = None) -> Corpus:
    """The schemas and dialogues in a file or folder.

    `format` is one of FORMATS; without it, a folder is "sgd" and a `.yml` or `.yaml` file "yaml".
    `services` keeps to the domains named. Raises FormatError.
    """
    path = Path(path)
    if format is None:
        format = _guess(path)
    reader = FORMATS.get(format)
    if reader is None:
        mend = did_you_mean(format, FORMATS, "it")
        raise FormatError(f"unknown format {quote(format)}", path=path, mend=mend)
    return reader(path, services)


def _guess(path: Path) -> str:
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        is_folder = exists = False
    if is_folder:
        return "sgd"
    if not exists:
        raise FormatError("no such file or folder", path=path, mend="check the path")
    if path.suffix.lower() in (".yml", ".yaml"):
        return "yaml"
    if path.name.endswith((".json", ".json.gz")):
        mend = "give the folder that holds it and schema.json"
        raise FormatError("a JSON file by itself", path=path, mend=mend)
    mend = f"name the format: one of {', '.join(FORMATS)}"
    raise FormatError("its name doesn't tell its format", path=path, mend=mend)


# The readers are imported when they are needed: code that learns from SGD on a bare machine does
# without ruamel.yaml.


def _yaml(path: Path, services: Services) -> Corpus:
    from rasa_onramp.formats.yaml import read_yaml

    corpus = read_yaml(path)
    for name in services or ():
        if name not in corpus.schemas:
            mend = did_you_mean(name, corpus.schemas, "it")
            raise FormatError(f"no domain called {quote(name)}", path=path, mend=mend)
    if services is None or services:
        return corpus
    return Corpus(schemas={}, dialogues=())


def _sgd(path: Path, services: Services) -> Corpus:
    from rasa_onramp.formats.sgd import read_sgd

    return read_sgd(path, services)


#: Readers by the format's name.
FORMATS: Mapping[str, Callable[[Path, Services], Corpus]] = {"yaml": _yaml, "sgd": _sgd}
