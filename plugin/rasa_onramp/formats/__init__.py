"""Dialogue files: `read` finds the format and gives a Corpus, or a FormatError that says where.

    yaml       our own: one file a domain, schema and dialogues (read and written)
    sgd        a folder in the format of the Schema-Guided Dialogue dataset (read and written)
    multiwoz   a folder of MultiWOZ 2.2
    jsonl      a chat log, one utterance a line
    stories    a Rasa bot's stories, end to end or with its NLU examples and responses

The last two say nothing of the domain: they are read with a schema that the caller gives.
docs/formats.md describes all of them. Rasa's tracker store, which is no file, is read by
rasa_events.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Collection, Mapping, Optional, Union

from rasa_onramp.dialogue import Corpus, Schema
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.wording import did_you_mean, quote

__all__ = ["COMPLETE_FORMATS", "FORMATS", "format_of", "read"]

Services = Optional[Collection[str]]


def read(
    path: Union[str, Path],
    format: Optional[str] = None,
    services: Services = None,
    schema: Optional[Schema] = None,
) -> Corpus:
    """The schemas and dialogues in a file or folder.

    `format` is one of FORMATS; without it, `format_of` finds it. `services` keeps to the domains
    named. `schema` is what a format without schemas is read with. Raises FormatError.
    """
    path = Path(path)
    name = format_of(path) if format is None else format
    if name in _WITHOUT_SCHEMA:
        if schema is None:
            mend = "name its schema (--schema FILE, or --domain NAME of the store)"
            raise FormatError(f"a {name} file says nothing of its domain", path=path, mend=mend)
        if services is not None and schema.name not in services:
            mend = did_you_mean(schema.name, services, "it")
            raise FormatError(f"its domain is {quote(schema.name)}", path=path, mend=mend)
        return _WITHOUT_SCHEMA[name](path, schema)
    if name not in FORMATS:
        mend = did_you_mean(name, FORMATS, "it")
        raise FormatError(f"unknown format {quote(name)}", path=path, mend=mend)
    if schema is not None:
        if name == "yaml":
            read(path, name)  # of a file that isn't ours, that is what should be said
        mend = "leave the given schema out"
        raise FormatError(f"{name} brings its own schema", path=path, mend=mend)
    return _WITH_SCHEMA[name](path, services)


def format_of(path: Path) -> str:
    """The format that a path's name tells: a folder is "sgd", a `.yml` or `.yaml` file "yaml", a
    `.jsonl` or `.jsonl.gz` file "jsonl". Raises FormatError.
    """
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
    if path.name.lower().endswith((".jsonl", ".jsonl.gz")):
        return "jsonl"
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


def _multiwoz(path: Path, services: Services) -> Corpus:
    from rasa_onramp.formats.multiwoz import read_multiwoz

    return read_multiwoz(path, services)


def _jsonl(path: Path, schema: Schema) -> Corpus:
    from rasa_onramp.formats.jsonl import read_jsonl

    return read_jsonl(path, schema)


def _stories(path: Path, schema: Schema) -> Corpus:
    from rasa_onramp.formats.stories import read_stories

    return read_stories(path, schema)


_WITH_SCHEMA: Mapping[str, Callable[[Path, Services], Corpus]] = {
    "yaml": _yaml,
    "sgd": _sgd,
    "multiwoz": _multiwoz,
}
_WITHOUT_SCHEMA: Mapping[str, Callable[[Path, Schema], Corpus]] = {
    "jsonl": _jsonl,
    "stories": _stories,
}

#: The names of the formats that say what their domains are, and of all.
COMPLETE_FORMATS = tuple(_WITH_SCHEMA)
FORMATS = (*COMPLETE_FORMATS, *_WITHOUT_SCHEMA)
