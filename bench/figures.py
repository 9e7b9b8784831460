"""The tables of figures, from what the commands that measure wrote into bench/results.

    python bench/figures.py            # print docs/results.md
    python bench/figures.py --write    # make all pages and plots anew

docs/results.md is made whole. On every other page, README.md too, what stands between a mark and
`<!-- end -->` is made anew:

    <!-- figures: NAME -->    what a table or a part of one shows, with its plot
    <!-- section: NAME -->    its command and all that was measured, a heading for each part
    <!-- command: NAME -->    the command that its figures come from

Plots are docs/plots/NAME.png. What tables there are, and how to add one:
bench/result_tables/__init__.py.
"""

from __future__ import annotations

import argparse
import io
import os
import re
from pathlib import Path
from typing import Dict, Iterator, List

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.plots import plotted
from result_tables import RESULTS, TABLES, Content, Part, Table, markdown
from result_tables.table import RESULTS_PAGE

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / RESULTS_PAGE
PLOTS = ROOT / "docs" / "plots"

_MARK = re.compile(r"<!-- (figures|section|command): (\S+) -->\n.*?<!-- end -->", re.DOTALL)


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make all pages and plots anew")
    if not parser.parse_args().write:
        print(document(), end="")
        return
    for name, drawing in plots().items():
        path = PLOTS / f"{name}.png"
        if not path.exists() or plotted(path) != plotted(io.BytesIO(drawing)):
            PLOTS.mkdir(exist_ok=True)
            path.write_bytes(drawing)
    DOCUMENT.write_text(document(), encoding="utf-8")
    for page in pages():
        page.write_text(filled(page.read_text(encoding="utf-8"), page), encoding="utf-8")


def pages() -> List[Path]:
    """All pages that may have marks."""
    return [ROOT / "README.md", *sorted(p for p in DOCUMENT.parent.rglob("*.md") if p != DOCUMENT)]


def filled(text: str, page: Path) -> str:
    """A page with what stands at its marks made anew.

    Raises ConfigError for a mark that no table has.
    """

    def made(mark: re.Match) -> str:
        kind, name = mark.groups()
        found = [(table, p) for table in TABLES for p in table.all_parts if p.name == name]
        if not found or (kind != "figures" and name != found[0][0].name):
            raise ConfigError(f"{page}: no table is called {name!r}; see bench/result_tables")
        ((table, part),) = found
        results = table.results()
        content = part.make(results) if results and part.make is not None else None
        if kind == "command":
            new = _command(table)
        elif kind == "section":
            new = "\n\n".join(_section(table, results, page, "##"))
        elif content is not None:
            new = _content(part, content, page)
        else:
            new = f"[Not measured yet]({_relative(DOCUMENT, page)}#not-measured-yet)."
        return f"<!-- {kind}: {name} -->\n{new}\n<!-- end -->"

    return _MARK.sub(made, text)


def document(folder: Path = RESULTS) -> str:
    """docs/results.md: all tables whose files are in `folder`, with the commands behind them."""
    parts = [
        "# Results",
        "All figures, made from the JSON files in `bench/results/` by `python bench/figures.py "
        "--write`.\n`python bench/results_page.py --out results.html` makes one page of all tables "
        "and plots, with settings.\n`$SGD` is a clone of [the dataset]"
        "(https://github.com/google-research-datasets/dstc8-schema-guided-dialogue).",
    ]
    elsewhere: List[str] = []
    missing: List[str] = []
    for table in TABLES:
        results = table.results(folder)
        if not results:
            missing.append(f"- {table.title}: `{_joined(table.command)}`")
            continue
        if table.lacks is not None and table.lacks(results):
            missing.append(f"- {table.title}: {', '.join(table.lacks(results))}")
        if table.page == RESULTS_PAGE:
            files = ", ".join(f"`{path.name}`" for path in table.paths(folder))
            parts += [f"## {table.title}", f"{table.about} From {files}."]
            parts += _section(table, results, DOCUMENT, "###")
        else:
            elsewhere.append(f"- [{table.title}]({_relative(ROOT / table.page, DOCUMENT)})")
    if elsewhere:
        parts += ["## On pages of their own", "\n".join(elsewhere)]
    if missing:
        parts += ["## Not measured yet", "\n".join(missing)]
    return "\n\n".join(parts) + "\n"


def plots(folder: Path = RESULTS) -> Dict[str, bytes]:
    """Every plot by its table's or part's name, as PNG."""
    found = {}
    for table in TABLES:
        results = table.results(folder)
        for part, _ in table.shown(results):
            if part.curve is not None:
                drawing = io.BytesIO()
                part.curve(results, drawing)
                found[part.name] = drawing.getvalue()
    return found


def _section(table: Table, results: List, page: Path, level: str) -> Iterator[str]:
    """How it was measured, what it shows, and its parts."""
    yield _command(table)
    for part, content in table.shown(results):
        if part.name != table.name:
            yield f"{level} {part.title}"
        if part.about:
            yield part.about
        yield _content(part, content, page)


def _command(table: Table) -> str:
    return f"```sh\n{table.command}\n```"


def _content(part: Part, content: Content, page: Path) -> str:
    text = markdown(content)
    if part.curve is None:
        return text
    return f"{text}\n\n![{part.title}]({_relative(PLOTS / f'{part.name}.png', page)})"


def _relative(path: Path, page: Path) -> str:
    return Path(os.path.relpath(path, page.parent)).as_posix()


def _joined(command: str) -> str:
    """A command of several lines in one."""
    return re.sub(r"\s*\\\n\s*", " ", command)


if __name__ == "__main__":
    main()
