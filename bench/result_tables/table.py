"""What a table of figures is, and how it looks in Markdown and in a terminal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from rasa_onramp.evaluation.tables import table

__all__ = [
    "RESULTS",
    "RESULTS_PAGE",
    "Content",
    "Grid",
    "Part",
    "Results",
    "Table",
    "difference",
    "markdown",
    "p_value",
    "printed",
]

RESULTS = Path(__file__).resolve().parents[1] / "results"

#: The page that has every table which has no page of its own.
RESULTS_PAGE = "docs/results.md"

#: What one file of results holds.
Results = Dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """Cells of text, the first column a row's name; `note` stands below."""

    header: Tuple[str, ...]
    rows: Tuple[Tuple[str, ...], ...]
    note: str = ""


#: Cells, or sentences in Markdown.
Content = Union[Grid, str]

#: From what the files hold to what is shown; None where that wasn't measured.
Make = Callable[[Sequence[Results]], Optional[Content]]

#: Draws a PNG into a file; raises ConfigError where there is nothing to draw.
Draw = Callable[[Sequence[Results], BinaryIO], None]


@dataclass(frozen=True)
class Part:
    """One of several tables, or sentences, that are made of the same files.

    One that is `quoted` is shown only where a page names it.
    """

    name: str
    title: str
    make: Optional[Make]
    about: str = ""
    curve: Optional[Draw] = None
    quoted: bool = False


@dataclass(frozen=True)
class Table:
    """A table made of what `command` wrote, and `parts`: further ones, of the same files.

    `name` is its mark on a page (see figures.py) and its address on the results page. `files` are
    names or patterns of files in bench/results, whose figures are shown together. `about` says what
    was measured, in a sentence or two of plain text. `make` may be None if there are parts. `page`
    is the one that shows it. `lacks` names what of the measurement is still to be done.
    """

    name: str
    title: str
    about: str
    files: Tuple[str, ...]
    command: str
    make: Optional[Make]
    curve: Optional[Draw] = None
    parts: Tuple[Part, ...] = ()
    page: str = RESULTS_PAGE
    lacks: Optional[Callable[[Sequence[Results]], Sequence[str]]] = None

    def paths(self, folder: Path = RESULTS) -> List[Path]:
        """Its files that are there."""
        return sorted({path for pattern in self.files for path in folder.glob(pattern)})

    def results(self, folder: Path = RESULTS) -> List[Results]:
        """What its files hold; none where none is there."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in self.paths(folder)]

    @property
    def all_parts(self) -> Tuple[Part, ...]:
        """What it shows itself, first, and its parts."""
        return (Part(self.name, self.title, self.make, curve=self.curve), *self.parts)

    def shown(self, results: Sequence[Results]) -> Iterator[Tuple[Part, Content]]:
        """All that was measured: a part, and what it shows."""
        for part in self.all_parts if results else ():
            if part.quoted:
                continue
            content = None if part.make is None else part.make(results)
            if content is not None:
                yield part, content


def difference(value: float, low: float, high: float, decimals: int = 3) -> str:
    """With its interval; bold where that is clear of zero."""
    form = f"+.{decimals}f"
    told = f"{value:{form}} [{low:{form}}, {high:{form}}]"
    return f"**{told}**" if low > 0 or high < 0 else told


def p_value(p: float) -> str:
    """To three digits, or four where it is small: one in 10,000 permutations is the least."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.4f}"


def markdown(content: Content) -> str:
    """As it stands on a page."""
    if isinstance(content, str):
        return content
    header, rows = content.header, content.rows
    lines = [_line(header), "|" + "---|" * len(header), *map(_line, rows)]
    return "\n".join(lines + (["", content.note] if content.note else []))


def printed(table_: Table, results: Sequence[Results]) -> str:
    """All that was measured, for a terminal."""
    parts = []
    for part, content in table_.shown(results):
        if isinstance(content, str):
            text = content
        else:
            cells = [[cell.replace("**", "") for cell in row] for row in content.rows]
            text = "\n\n".join(filter(None, (table(content.header, cells), content.note)))
        parts.append(f"{part.title}\n\n{text}")
    return "\n\n\n".join(parts)


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
