"""Several dialogue files as one corpus, where they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterable, Tuple

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.errors import ConfigError

__all__ = ["merged"]


def merged(parts: Iterable[Tuple[Path, Corpus]]) -> Corpus:
    """One corpus of all that files hold; each comes with its path, for errors.

    Raises ConfigError where two files disagree about a domain or a dialogue.
    """
    schemas: Dict[str, Tuple[Schema, Path]] = {}
    dialogues: Dict[Tuple[str, str], Tuple[Dialogue, Path]] = {}
    for path, corpus in parts:
        for found in corpus.schemas.values():
            known, before = schemas.setdefault(found.name, (found, path))
            if known != found:
                raise ConfigError(
                    f"{before} and {path} both define domain {found.name!r}, differently; "
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
        schemas={name: found for name, (found, _) in schemas.items()},
        dialogues=tuple(dialogue for dialogue, _ in dialogues.values()),
    )
