"""--json: the file that an evaluation's figures are written to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from rasa_onramp import plain_json
from rasa_onramp.whole_files import whole

__all__ = ["plain", "write_figures"]


def write_figures(path: str, figures: Mapping[str, Any]) -> None:
    """Write JSON, a row of a list a line; whole or not at all."""
    parts = []
    for key, value in figures.items():
        if isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {_text(row)}" for row in value) + "\n ]"
        else:
            text = _text(value)
        parts.append(f" {json.dumps(key)}: {text}")
    with whole(Path(path)) as file:
        file.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def plain(rows: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """Rows with None for figures that no turn defines (JSON has no NaN), to six digits."""
    found: List[Dict[str, Any]] = plain_json.plain(rows, 6)
    return found


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
