"""The tables of figures, from what the commands that measure wrote into bench/results.

    python bench/figures.py            # print them
    python bench/figures.py --write    # put them into docs/results.md, and at README.md's markers

What tables there are, and how to add one: bench/result_tables/__init__.py.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Mapping

from result_tables import RESULTS, TABLES, markdown
from result_tables.tracker import headline

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENT = ROOT / "docs" / "results.md"


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put them into the two files")
    if parser.parse_args().write:
        README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
        DOCUMENT.write_text(document(), encoding="utf-8")
    else:
        print(document(), end="")


def filled(readme: str) -> str:
    """The README with what stands at its markers made anew."""
    texts = {}
    for table in TABLES:
        results = table.results()
        if results:
            texts[table.name] = markdown(table.make(results))
        if results and table.name == "sgd":
            texts["headline"] = headline(results)
    named = re.findall(r"<!-- figures: (\S+) -->", readme)
    return put(readme, {name: texts[name] for name in named})


def put(page: str, texts: Mapping[str, str]) -> str:
    """The page with each text between its markers."""
    for name, text in texts.items():
        begin, end = f"<!-- figures: {name} -->\n", "\n<!-- end -->"
        head, rest = page.split(begin)
        page = head + begin + text + end + rest.split(end, 1)[1]
    return page


def document(folder: Path = RESULTS) -> str:
    """docs/results.md: all tables whose files are in `folder`, with the commands behind them."""
    parts = [
        "# Results",
        "All figures, made from the JSON files in `bench/results/` by `python bench/figures.py "
        "--write`.\n`python bench/results_page.py --out results.html` makes a page with curves and "
        "settings. `$SGD` is a clone\nof [the dataset]"
        "(https://github.com/google-research-datasets/dstc8-schema-guided-dialogue).",
    ]
    for table in TABLES:
        results = table.results(folder)
        if not results:
            continue
        files = ", ".join(f"`{path.name}`" for path in table.paths(folder))
        parts += [f"## {table.title}", f"{table.about} From {files}."]
        if table.command:
            parts.append(f"```sh\n{table.command}\n```")
        parts.append(markdown(table.make(results)))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
