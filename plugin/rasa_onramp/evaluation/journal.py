"""What an evaluation has measured so far, in a file, so that it can go on after an interruption.

JSON lines: the settings, then all results of one split a line. A line is written at once and
flushed to disk; one that was cut off counts as not written.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

from rasa_onramp.errors import ConfigError, StoreError
from rasa_onramp.evaluation.few_shot import Result
from rasa_onramp.evaluation.metrics import TurnScore
from rasa_onramp.store.serialise import state_from_json, state_to_json

__all__ = ["Journal"]


class Journal:
    """The journal of one evaluation; `results` are those that it held when it was opened."""

    def __init__(
        self, path: Union[str, Path], settings: Mapping[str, Any], *, resume: bool = False
    ) -> None:
        """Begin a journal, or with `resume` go on with the one that is there, if any.

        Raises ConfigError if a journal is there and `resume` isn't asked for, or if it is of other
        settings, or damaged.
        """
        self.path = Path(path)
        self.results: List[Result] = []
        if self.path.exists():
            if not resume:
                raise ConfigError(
                    f"{self.path} holds what an interrupted evaluation has measured; go on with "
                    "it by --resume, or delete it"
                )
            self._read(json.loads(json.dumps(settings)))
        else:
            self._write({"settings": settings})

    def add(self, results: Sequence[Result]) -> None:
        """Keep all results of a split."""
        self._write([_to_json(result) for result in results])

    def close(self) -> None:
        """The evaluation is finished and its figures are written: the journal is deleted."""
        self.path.unlink()

    def _write(self, content: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, settings: Mapping[str, Any]) -> None:
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        lines = whole.splitlines()
        if not lines:
            self._write({"settings": settings})
            return
        for number, line in enumerate(lines, start=1):
            try:
                found = json.loads(line)
                if number == 1:
                    self._compare(found["settings"], settings)
                elif isinstance(found, list):
                    self.results += [_from_json(row) for row in found]
                else:
                    raise TypeError("no list of results")
            except (AttributeError, KeyError, TypeError, ValueError, StoreError):
                raise ConfigError(
                    f"{self.path}:{number}: not what an evaluation writes; delete the file and "
                    "evaluate anew"
                ) from None

    def _compare(self, there: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        for key in sorted({*there, *settings}):
            if there.get(key) != settings.get(key):
                raise ConfigError(
                    f"{self.path} is of an evaluation with other settings ({key} "
                    f"{there.get(key)!r}, not {settings.get(key)!r}); go on with the same ones, "
                    "or delete it"
                )


def _to_json(result: Result) -> Dict[str, Any]:
    states = {
        name: [None if state is None else state_to_json(state) for state in found]
        for name, found in result.predictions.items()
    }
    scores = [[asdict(score) for score in one] for one in result.dialogues]
    return {**vars(result), "predictions": states, "dialogues": scores}


def _from_json(row: Dict[str, Any]) -> Result:
    states = {
        name: tuple(None if state is None else state_from_json(state, name) for state in found)
        for name, found in row.pop("predictions").items()
    }
    scores = tuple(tuple(TurnScore(**score) for score in one) for one in row.pop("dialogues"))
    return Result(**row, predictions=states, dialogues=scores)
