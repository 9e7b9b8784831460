"""Several dialogue files as one corpus, so that a command takes all of them or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Collection, Iterator, List, Optional, Sequence

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats import read
from rasa_onramp.formats.merging import merged
from rasa_onramp.formats.source import check_inside

if TYPE_CHECKING:  # SQL isn't loaded by what reads files only
    from rasa_onramp.store import Store

__all__ = ["chosen_schema", "has_states", "read_all", "yaml_files"]


def read_all(
    paths: Sequence[str],
    format: Optional[str],
    services: Optional[Collection[str]] = None,
    schema: Optional[Schema] = None,
) -> Corpus:
    """The corpora of all `paths` as one. A folder of YAML files counts as those files. `schema` is
    what formats that bring none are read with.

    Raises FormatError, and ConfigError where two files disagree about a domain or a dialogue.
    """
    return merged(
        (path, read(path, format=format, services=services, schema=schema))
        for path in _files(paths, format)
    )


def chosen_schema(store: Store, file: Optional[str], domain: Optional[str]) -> Optional[Schema]:
    """The schema that `--schema` or `--domain` names; None where neither does.

    Raises ConfigError, FormatError, NotFound.
    """
    if file is not None and domain is not None:
        raise ConfigError("both --schema and --domain are given; give one of them")
    if domain is not None:
        return store.dialogues.schema(domain)
    if file is None:
        return None
    (schema,) = read(file, format="yaml").schemas.values()
    return schema


def has_states(dialogue: Dialogue) -> bool:
    """Whether any turn of `dialogue` has a state, be it an empty one."""
    return any(turn.state is not None for turn in dialogue.turns)


def yaml_files(folder: Path) -> List[Path]:
    """The YAML files right in `folder`, by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".yml", ".yaml"))


def _files(paths: Sequence[str], format: Optional[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        found = []
        if format in (None, "yaml") and path.is_dir() and not any(path.glob("schema.json*")):
            found = yaml_files(path)
            for file in found:
                check_inside(file, path)
        yield from found or [path]
