"""What a table of figures is, and how it looks in Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, List, Optional, Sequence, Tuple

__all__ = ["RESULTS", "Grid", "Results", "Table", "markdown"]

RESULTS = Path(__file__).resolve().parents[1] / "results"

#: What one file of results holds.
Results = Dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """Cells of text, the first column a row's name."""

    header: Tuple[str, ...]
    rows: Tuple[Tuple[str, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table made of what `command` wrote.

    `name` is its mark in README.md (`<!-- figures: NAME -->`) and its address on the results page.
    `files` are names or patterns of files in bench/results, whose figures are shown together.
    `about` says what was measured, in a sentence or two of plain text. `curve` draws a PNG into a
    file; it raises ConfigError where there is nothing to draw.
    """

    name: str
    title: str
    about: str
    files: Tuple[str, ...]
    command: str
    make: Callable[[Sequence[Results]], Grid]
    curve: Optional[Callable[[Sequence[Results], BinaryIO], None]] = None

    def paths(self, folder: Path = RESULTS) -> List[Path]:
        """Its files that are there."""
        return sorted({path for pattern in self.files for path in folder.glob(pattern)})

    def results(self, folder: Path = RESULTS) -> List[Results]:
        """What its files hold; none where none is there."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in self.paths(folder)]


def markdown(grid: Grid) -> str:
    """The grid as a Markdown table."""
    lines = [_line(grid.header), "|" + "---|" * len(grid.header), *map(_line, grid.rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
