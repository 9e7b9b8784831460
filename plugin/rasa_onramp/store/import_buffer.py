"""Dialogues kept in a temporary file while they are gathered, so that no other writer waits for
where they come from.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import Iterable, Iterator

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
    with _explained():
        file = TemporaryFile("w+", encoding="ascii", prefix="onramp-")  # noqa: SIM115 - closed below
    try:
        for dialogue in dialogues:
            line = json.dumps(dialogue_to_json(dialogue))  # ASCII, whatever is in it
            with _explained():
                file.write(f"{line}\n")
        with _explained():
            file.flush()
        file.seek(0)
        yield (dialogue_from_json(json.loads(line), "the temporary file") for line in file)
    finally:
        with suppress(OSError):  # of what there was no room for
            file.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"no temporary file can be written ({error.strerror}); free some room, or name another "
            "folder for it in TMPDIR"
        ) from error
