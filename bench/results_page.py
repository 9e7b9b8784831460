"""All results as one HTML page that loads nothing: tables, curves, settings and commands.

    python bench/results_page.py --out results.html [--results FOLDER]

Files in the folder that no table is made of are named at its end. Curves need matplotlib (the extra
`plots`).
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import sys
from html import escape
from pathlib import Path
from typing import List, Sequence, Tuple

from rasa_onramp.errors import ConfigError
from result_tables import RESULTS, TABLES, Content, Table

STYLE = """
  :root { color-scheme: light dark; --line: #8886; --soft: #8882; }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 0 auto; padding: 1rem; }
  h2 { border-top: 1px solid var(--line); padding-top: 1rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { padding: .2rem .8rem; border-bottom: 1px solid var(--line); text-align: left; }
  pre { overflow-x: auto; background: var(--soft); padding: .6rem 1rem; border-radius: .4rem; }
  img { max-width: 100%; background: #fff; }
"""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the HTML file to write")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of JSON files")
    options = parser.parse_args()
    try:
        text, unknown = page(options.results)
        options.out.write_text(text, encoding="utf-8")
    except (ConfigError, OSError) as error:
        sys.exit(f"results_page: {error}")
    for name in unknown:
        print(f"{name}: no table is made of it, left out", file=sys.stderr)


def page(folder: Path, tables: Sequence[Table] = TABLES) -> Tuple[str, List[str]]:
    """The page, and the files in `folder` that no table knows. Raises ConfigError, if none does."""
    sections, contents = [], []
    known = set()
    for table in tables:
        paths = table.paths(folder)
        if not paths:
            continue
        known.update(paths)
        contents.append(f'<li><a href="#{escape(table.name)}">{escape(table.title)}</a></li>')
        sections.append(_section(table, paths))
    if not sections:
        raise ConfigError(f"{folder} has no results that a table is made of; see bench/figures.py")
    unknown = [path.name for path in sorted(folder.glob("*.json")) if path not in known]
    left_out = "".join(f"<li>{escape(name)}</li>" for name in unknown)
    if left_out:
        left_out = f"<h2>Left out</h2><p>No table is made of these:</p><ul>{left_out}</ul>"
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>rasa-onramp: results</title>
<style>{STYLE}</style>
</head>
<body>
<h1>rasa-onramp: results</h1>
<ul>{"".join(contents)}</ul>
{"".join(sections)}{left_out}
</body>
</html>
"""
    return text, unknown


def _section(table: Table, paths: Sequence[Path]) -> str:
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    names = ", ".join(path.name for path in paths)
    parts = [
        f'<section id="{escape(table.name)}">',
        f"<h2>{escape(table.title)}</h2>",
        f"<p>{_text(table.about)} From {escape(names)}.</p>",
    ]
    for part, content in table.shown(results):
        if part.name != table.name:
            parts.append(f'<h3 id="{escape(part.name)}">{escape(part.title)}</h3>')
        if part.about:
            parts.append(f"<p>{_text(part.about)}</p>")
        parts.append(_html(content))
        if part.curve is not None:
            drawn = io.BytesIO()
            part.curve(results, drawn)
            data = base64.b64encode(drawn.getvalue()).decode("ascii")
            parts.append(
                f'<p><img src="data:image/png;base64,{data}" alt="{escape(part.title)}"></p>'
            )
    parts.append(f"<pre>{escape(table.command)}</pre>")
    for path, found in zip(paths, results):
        if "settings" in found:
            settings = escape(json.dumps(found["settings"], indent=1, ensure_ascii=False))
            name = escape(path.name)
            parts.append(f"<details><summary>Settings of {name}</summary><pre>{settings}</pre>")
            parts.append("</details>")
    return "\n".join([*parts, "</section>\n"])


def _html(content: Content) -> str:
    if isinstance(content, str):
        return "\n".join(f"<p>{_text(each)}</p>" for each in content.split("\n\n"))
    head = "".join(f"<th>{_text(cell)}</th>" for cell in content.header)
    rows = "".join(
        f"<tr><th>{_text(row[0])}</th>{''.join(f'<td>{_text(c)}</td>' for c in row[1:])}</tr>\n"
        for row in content.rows
    )
    note = f"\n<p>{_text(content.note)}</p>" if content.note else ""
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></div>{note}"
    )


def _text(markdown: str) -> str:
    """What our tables and sentences have of Markdown: bold and code."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(markdown))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", bold)


if __name__ == "__main__":
    main()
