"""What a long measurement has so far, in a file, so that it can go on after an interruption.

JSON lines: the settings, and perhaps the data's digest, then rows of what was measured, those that
were added together in one line. A line is written at once and flushed to disk; one that was cut off
counts as not written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Generic, List, Mapping, Optional, Sequence, TypeVar, Union

from rasa_onramp.errors import ConfigError, StoreError

__all__ = ["Journal", "Row", "compare_settings"]

Row = Dict[str, Any]

#: What to do about a journal of other settings.
_MEND = "go on with the same ones, or name another file"
T = TypeVar("T")


class Journal(Generic[T]):
    """The journal of one measurement; `rows` are those that it has."""

    def __init__(
        self,
        path: Union[str, Path, None],
        settings: Mapping[str, Any],
        *,
        data: Optional[str] = None,
        resume: bool = False,
        encode: Callable[[T], Any] = lambda row: row,
        decode: Callable[[Row], T] = lambda row: row,  # type: ignore[assignment,return-value]
    ) -> None:
        """Begin a journal, or with `resume` go on with the one that is there, if any.

        `encode` makes JSON of a row, `decode` a row of a JSON object. Without a path nothing is
        kept. Raises ConfigError if a journal is there and `resume` isn't asked for, or if it is of
        other settings or of `data` of another digest, or damaged.
        """
        self.path = None if path is None else Path(path)
        self.rows: List[T] = []
        self._encode, self._decode = encode, decode
        head = _as_json({"settings": settings, **({} if data is None else {"data": data})})
        if self.path is None or not self.path.exists():
            self._write(head)
        elif resume:
            self._read(self.path, head)
        elif _is_bare(self.path):
            raise ConfigError(
                f"{self.path} was begun and holds nothing yet; delete it, unless an evaluation is "
                "at it now"
            )
        else:
            raise ConfigError(
                f"{self.path} holds what an interrupted evaluation has measured; go on with it by "
                "--resume, or delete it"
            )

    def add(self, rows: Sequence[T]) -> None:
        """Keep rows: all of them or none."""
        self.rows += rows
        self._write([self._encode(row) for row in rows])

    def close(self) -> None:
        """The measurement is finished and its figures are written: the journal is deleted."""
        if self.path is not None:
            self.path.unlink()

    def _write(self, content: Any) -> None:
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, path: Path, head: Row) -> None:
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            with path.open("r+b") as file:
                file.truncate(len(whole))
        lines = whole.splitlines()
        if not lines:
            self._write(head)
            return
        for number, line in enumerate(lines, start=1):
            try:
                found = json.loads(line)
                if number == 1:
                    bare = "as it holds nothing yet, delete it, unless one is at it now"
                    mend = bare if len(lines) == 1 else _MEND
                    compare_settings(path, dict(found["settings"]), head["settings"], mend)
                    if found.get("data") != head.get("data"):
                        raise ConfigError(
                            f"{path} is of an evaluation of other data (a schema or a dialogue was "
                            f"changed since); {mend}"
                        )
                elif isinstance(found, list):
                    self.rows += [self._decode(dict(row)) for row in found]
                else:
                    raise TypeError("no list of rows")
            except (AttributeError, KeyError, TypeError, ValueError, StoreError):
                raise ConfigError(
                    f"{path}:{number}: not what an evaluation writes; delete the file and "
                    "evaluate anew"
                ) from None


def compare_settings(
    path: Path, there: Mapping[str, Any], settings: Mapping[str, Any], mend: str = _MEND
) -> None:
    """Raise ConfigError unless the settings that `path` holds, `there`, are these, as JSON."""
    wanted = _as_json(settings)
    for key in sorted({*there, *wanted}):
        if there.get(key) != wanted.get(key):
            raise ConfigError(
                f"{path} is of an evaluation with other settings ({key} {there.get(key)!r}, not "
                f"{wanted.get(key)!r}); {mend}"
            )


def _is_bare(path: Path) -> bool:
    """Whether it holds what it began with and no more."""
    with path.open("rb") as file:
        first, more = file.readline(), file.readline()
    try:
        return not more and "settings" in json.loads(first)
    except (TypeError, ValueError):
        return False


def _as_json(settings: Mapping[str, Any]) -> Row:
    """As they are when they were written and read."""
    found: Row = json.loads(json.dumps(settings))
    return found
