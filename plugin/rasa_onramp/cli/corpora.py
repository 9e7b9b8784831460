"""Several dialogue files as one corpus, so that a command takes all of them or none."""

from __future__ import annotations

from pathlib import Path
from typing import Collection, Dict, Iterator, List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats import read

__all__ = ["read_all", "yaml_files"]


def read_all(
    paths: Sequence[str], format: Optional[str], services: Optional[Collection[str]] = None
) -> Corpus:
    """The corpora of all `paths` as one. A folder of YAML files counts as those files.

    Raises FormatError, and ConfigError where two files disagree about a domain or a dialogue.
    """
    schemas: Dict[str, Tuple[Schema, Path]] = {}
    dialogues: Dict[Tuple[str, str], Tuple[Dialogue, Path]] = {}
    for path in _files(paths, format):
        corpus = read(path, format=format, services=services)
        for schema in corpus.schemas.values():
            known, before = schemas.setdefault(schema.name, (schema, path))
            if known != schema:
                raise ConfigError(
                    f"{before} and {path} both define domain {schema.name!r}, differently; "
                    "make the schemas the same or give one file only"
                )
        for dialogue in corpus.dialogues:
            key = (dialogue.domain, dialogue.id)
            twin, before = dialogues.setdefault(key, (dialogue, path))
            if twin != dialogue:
                raise ConfigError(
                    f"{before} and {path} hold different dialogues {dialogue.id!r} of domain "
                    f"{dialogue.domain!r}; give one of them another id"
                )
    return Corpus(
        schemas={name: schema for name, (schema, _) in schemas.items()},
        dialogues=tuple(dialogue for dialogue, _ in dialogues.values()),
    )


def yaml_files(folder: Path) -> List[Path]:
    """The YAML files right in `folder`, by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".yml", ".yaml"))


def _files(paths: Sequence[str], format: Optional[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        found = []
        if format in (None, "yaml") and path.is_dir() and not any(path.glob("schema.json*")):
            found = yaml_files(path)
        yield from found or [path]
