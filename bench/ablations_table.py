"""The tables of docs/ablations.md, from what bench/ablations.py wrote.

python bench/ablations_table.py            # print them
python bench/ablations_table.py --write    # put them into docs/ablations.md, at its markers
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ablation_settings import ABLATIONS, Setting
from rasa_onramp.evaluation.bootstrap import paired_difference

__all__ = ["Row", "filled", "markdown", "measured", "page", "printed", "summary"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "ablations.md"
RESULTS = ROOT / "bench" / "results"
#: Corpora by the name that a column has.
FILES = {"own domains": "ablations_dev.json", "SGD dev": "ablations_sgd.json"}
RESAMPLES = 2_000

Row = Dict[str, Any]
#: Of a dialogue: sum of JGA, turns, sum of average goal accuracy, turns.
Unit = Tuple[float, ...]


def summary(rows: Sequence[Row], settings: Sequence[Setting]) -> List[Row]:
    """A row a setting: its figures, and those less the base's, on what both were measured on."""
    units: Dict[str, Dict[Tuple[Any, ...], Unit]] = {}
    for row in rows:
        known = units.setdefault(row["setting"], {})
        for dialogue, sums in row["dialogues"].items():
            known[(row["service"], row["seed"], dialogue)] = tuple(sums)
    found = []
    for setting in settings:
        own, base = units.get(setting.name, {}), units.get(setting.base.name, {})
        both = [path for path in own if path in base]
        if not both:
            continue
        first, second = {p: own[p] for p in both}, {p: base[p] for p in both}
        line: Row = {
            "setting": setting.name,
            "base": setting.base.name,
            "services": len({path[0] for path in both}),
            "support_sets": len({path[:2] for path in both}),
            "turns": sum(unit[1] for unit in first.values()),
        }
        for name, figure in FIGURES.items():
            line[name] = round(figure(list(first.values())), 4)
            if setting != setting.base:
                minus = paired_difference(first, second, figure, resamples=RESAMPLES)
                line[f"{name}_minus_base"] = [round(v, 4) for v in asdict(minus).values()]
        found.append(line)
    return found


def _jga(units: Sequence[Unit]) -> float:
    return sum(unit[0] for unit in units) / sum(unit[1] for unit in units)


def _goal_accuracy(units: Sequence[Unit]) -> float:
    return sum(unit[2] for unit in units) / sum(unit[3] for unit in units)


#: Means over turns: joint goal accuracy, and the average over the slots that are set.
FIGURES = {"jga": _jga, "goal_accuracy": _goal_accuracy}


def printed(lines: Sequence[Row]) -> str:
    """The summary as a table."""
    heads = "".join(f"{name:>7}{'minus default [95%]':>27}" for name in ("JGA", "goal"))
    rows = [f"{'':34}{heads}{'sets':>6}{'turns':>7}"]
    for line in lines:
        cells = "".join(f"{line[name]:7.3f}{_difference(line, name):>27}" for name in FIGURES)
        rows.append(f"{line['setting']:34}{cells}{line['support_sets']:6}{line['turns']:7}")
    return "\n".join(rows)


def _difference(line: Row, name: str) -> str:
    if f"{name}_minus_base" not in line:
        return ""
    value, low, high = line[f"{name}_minus_base"]
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def markdown(name: str, runs: Mapping[str, Mapping[str, Any]]) -> str:
    """An ablation's table: a row a setting, and of each corpus its JGA less the default's."""
    settings = {s.name: s for setting in ABLATIONS[name] for s in (setting.base, setting)}
    lines = {
        corpus: {line["setting"]: line for line in run["summary"]} for corpus, run in runs.items()
    }
    names = "JGA", "minus default", "goal accuracy", "minus default", "sets"
    head = "".join(f" {corpus}: {names[0]} | {' | '.join(names[1:])} |" for corpus in runs)
    rows = [f"| |{head}", "|---|" + "---|" * (len(names) * len(runs))]
    for setting in settings.values():
        found = [known.get(setting.name) for known in lines.values()]
        if any(found):
            rows.append(f"| {setting.name} |{''.join(map(_cells, found))}")
    compared = {name for name, s in settings.items() if s != s.base}
    if not any(compared & known.keys() for known in lines.values()):
        return "Not measured yet."
    return "\n".join(rows)


def _cells(line: Optional[Row]) -> str:
    if line is None:
        return " | | | | |"
    cells = ""
    for name in FIGURES:
        told = _difference(line, name)
        _, low, high = line.get(f"{name}_minus_base", (0, 0, 0))
        cells += f" {line[name]:.3f} | {f'**{told}**' if low > 0 or high < 0 else told} |"
    return f"{cells} {line['support_sets']} |"


def defaults(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The default's settings, and what each corpus was measured on."""
    (default,) = {json.dumps(run["settings"]["default"]) for run in runs.values()}
    told = ", ".join(f"`{name}` {value}" for name, value in json.loads(default).items())
    rows = [f"The default: {told}.", ""]
    for corpus, run in runs.items():
        (line,) = [line for line in run["summary"] if line["setting"] == "default"]
        services = ", ".join(f"`{name}`" for name in sorted({r["service"] for r in run["runs"]}))
        rows.append(
            f"- {corpus} (`{run['settings']['data']}`): {line['support_sets']} support sets of "
            f"{run['settings']['shots']} dialogues and {line['turns']} held-out turns of {services}"
        )
    return "\n".join(rows)


def filled(page: str, texts: Mapping[str, str]) -> str:
    """A page with each text put between its markers."""
    for name, text in texts.items():
        begin, end = f"<!-- figures: {name} -->\n", "\n<!-- end -->"
        head, rest = page.split(begin)
        page = head + begin + text + end + rest.split(end, 1)[1]
    return page


def measured() -> Dict[str, Dict[str, Any]]:
    """What was measured of each corpus, of those that were."""
    return {
        corpus: json.loads((RESULTS / file).read_text(encoding="utf-8"))
        for corpus, file in FILES.items()
        if (RESULTS / file).is_file()
    }


def page() -> str:
    """docs/ablations.md with its tables made anew."""
    runs = measured()
    texts = {"default": defaults(runs), **{name: markdown(name, runs) for name in ABLATIONS}}
    return filled(PAGE.read_text(encoding="utf-8"), texts)


def main() -> None:
    """Print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put them into docs/ablations.md")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page())


if __name__ == "__main__":
    main()
