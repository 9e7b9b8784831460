"""Dialogue files as a person uploads or pastes them: named texts, in our YAML or in SGD's JSON.

A name tells the format and is quoted in errors. SGD's files are written into a folder of their own
for as long as they are read; no other file is opened or written.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Tuple

from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import FormatError, OnrampError
from rasa_onramp.formats.merging import merged
from rasa_onramp.formats.sgd import read_sgd
from rasa_onramp.formats.wording import UNSTORABLE, quote
from rasa_onramp.formats.yaml import parse_yaml
from rasa_onramp.refusals import Refused, fields

__all__ = ["MOST_BYTES", "corpus_of"]

#: What an upload may weigh. YAML takes seconds a megabyte to read, beside the bot's own work.
MOST_BYTES = 2 * 2**20

_MOST_FILES = 100
_NAME = re.compile(r"[\w ().+-]{1,120}")
_SCHEMA = "schema.json"
#: Of ASCII, as a file is made of that name: of other letters a hundred may be too long for one.
_DIALOGUES = re.compile(r"dialogues_[\w-]{1,100}\.json", re.ASCII)


def corpus_of(files: Any) -> Corpus:
    """What uploaded files, objects of `name` and `text`, hold together.

    A name that ends in .yml or .yaml is a file in our format. Those called schema.json and
    dialogues_*.json are a folder in SGD's. Raises Refused, with the line where there is one.
    """
    yaml, sgd = _sorted_out(files)
    try:
        parts = [(Path(name), parse_yaml(text, name)) for name, text in yaml]
        if sgd:
            parts.append((Path(_SCHEMA), _sgd(sgd)))
        return merged(parts)
    except FormatError as error:
        raise Refused(str(error), line=error.line) from error
    except OnrampError as error:
        raise Refused(str(error)) from error


def _sorted_out(files: Any) -> Tuple[List[Tuple[str, str]], Dict[str, str]]:
    """YAML files, and SGD's by name."""
    if not isinstance(files, list) or not files:
        raise Refused("there is no file; choose one or paste its text")
    if len(files) > _MOST_FILES:
        raise Refused(f"there are more than {_MOST_FILES} files; import them a few at a time")
    yaml: List[Tuple[str, str]] = []
    sgd: Dict[str, str] = {}
    for file in files:
        given = fields(file, {"name": str, "text": str}, storable=False)
        name, text = given["name"], given["text"]
        if not _NAME.fullmatch(name):
            raise Refused(f"{quote(name)} is no file name; use letters, digits, - and _")
        bad = UNSTORABLE.search(text)
        if bad is not None:
            line = text.count("\n", 0, bad.start()) + 1
            problem = f"{name}:{line}: a character that can't be stored; remove it"
            raise Refused(problem, line=line)
        if name.lower().endswith((".yml", ".yaml")):
            yaml.append((name, text))
        elif name != _SCHEMA and not _DIALOGUES.fullmatch(name):
            raise Refused(
                f"{name}: its name doesn't tell its format; call a file of ours NAME.yml, "
                "and SGD's files schema.json and dialogues_001.json"
            )
        elif name in sgd:
            raise Refused(f"{name} is there twice; leave one of them out")
        else:
            sgd[name] = text
    return yaml, sgd


def _sgd(files: Dict[str, str]) -> Corpus:
    with TemporaryDirectory(prefix="onramp-") as folder:
        for name, text in files.items():  # names that passed _sorted_out
            Path(folder, name).write_text(text, encoding="utf-8")
        try:
            return read_sgd(folder)
        except FormatError as error:
            text = str(error).replace(f"{folder}{os.sep}", "").replace(folder, "the upload")
            raise Refused(text, line=error.line) from error
