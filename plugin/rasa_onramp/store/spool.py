"""Dialogues kept in a temporary file while they are gathered, so that no other writer waits for
where they come from.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, Iterable, Iterator

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.errors import StoreError
from rasa_onramp.store.serialise import dialogue_from_json, dialogue_to_json

__all__ = ["spooled"]


@contextmanager
def spooled(dialogues: Iterable[Dialogue]) -> Iterator[Iterator[Dialogue]]:
    """All of `dialogues`, taken to their end before the block begins, one by one. The file has no
    name, so that no other process reads it and none is left. Raises StoreError where there is no
    room for it, and what `dialogues` raise.
    """
    file = _file()
    try:
        for dialogue in dialogues:
            _write(file, f"{json.dumps(dialogue_to_json(dialogue))}\n")  # ASCII, whatever is in it
        _write(file, "")
        file.seek(0)
        yield (dialogue_from_json(json.loads(line), "the temporary file") for line in file)
    finally:
        with suppress(OSError):  # of what there was no room for
            file.close()


def _file() -> IO[str]:
    try:
        return TemporaryFile("w+", encoding="ascii", prefix="onramp-")
    except OSError as error:
        raise _refused(error) from error


def _write(file: IO[str], line: str) -> None:
    """Write a line; none: what isn't on the disk yet."""
    try:
        if line:
            file.write(line)
        else:
            file.flush()
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> StoreError:
    return StoreError(
        f"no temporary file can be written ({error.strerror}); free some room, or name another "
        "folder for it in TMPDIR"
    )
