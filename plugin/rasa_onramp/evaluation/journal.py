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

__all__ = ["Journal", "Row"]

Row = Dict[str, Any]

#: What to do about a journal of other settings.
_MEND = "go on with the same ones, or name another file"
#: Settings that files of earlier versions don't tell.
_LATER = {"adaptation", "device", "finetune", "precision"}
T = TypeVar("T")


class Journal(Generic[T]):
    """The journal of one measurement; `rows` are those that it has.

    `finished` is what else stands in the file of figures that it goes on from (`beside`).
    """

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
        self.finished: Row = {}
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

    @classmethod
    def beside(
        cls, figures: Optional[Path], settings: Mapping[str, Any], *, key: str = "runs"
    ) -> Journal[Row]:
        """The journal of a measurement that adds to its file of figures, whenever it is run.

        Its rows are those under `key` in the file, if it is there, and those that an interrupted
        run has measured since. Raises ConfigError as above, of the file too.
        """
        if figures is None:
            return Journal(None, settings)
        found: Row = {}
        if figures.exists():
            try:
                found = json.loads(figures.read_text(encoding="utf-8"))
                there, rows = dict(found.pop("settings")), [dict(row) for row in found.pop(key)]
            except (AttributeError, KeyError, TypeError, ValueError):
                raise ConfigError(
                    f"{figures} holds no figures of this measurement; name another file"
                ) from None
            _compare(figures, there, _as_json(settings))
        else:
            rows = []
        journal: Journal[Row] = Journal(f"{figures}.journal", settings, resume=True)
        # a run that was stopped before it deleted its journal has them in both
        journal.rows = rows + [row for row in journal.rows if row not in rows]
        journal.finished = found
        return journal

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
                    _compare(path, dict(found["settings"]), head["settings"], mend)
                    # none where it was begun before that was kept
                    if found.get("data", head.get("data")) != head.get("data"):
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


def _is_bare(path: Path) -> bool:
    """Whether it holds what it began with and no more."""
    with path.open("rb") as file:
        first, more = file.readline(), file.readline()
    try:
        return not more and set(json.loads(first)) in ({"settings"}, {"settings", "data"})
    except (TypeError, ValueError):
        return False


def _as_json(settings: Mapping[str, Any]) -> Row:
    """As they are when they were written and read."""
    found: Row = json.loads(json.dumps(settings))
    return found


def _compare(path: Path, there: Row, settings: Row, mend: str = _MEND) -> None:
    untold = _LATER - there.keys()
    for key in sorted({*there, *settings} - untold):
        if there.get(key) != settings.get(key):
            raise ConfigError(
                f"{path} is of an evaluation with other settings ({key} {there.get(key)!r}, not "
                f"{settings.get(key)!r}); {mend}"
            )
