"""The tables of docs/ablations.md, from what bench/ablations.py wrote.

python bench/ablations_table.py            # print them
python bench/ablations_table.py --write    # put them into docs/ablations.md, at its markers
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

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


def summary(rows: Sequence[Row], settings: Sequence[Setting]) -> List[Row]:
    """A row a setting: its JGA, and that less the base's, on what both were measured on."""
    units: Dict[str, Dict[Tuple[Any, ...], Tuple[float, int]]] = {}
    for row in rows:
        known = units.setdefault(row["setting"], {})
        for dialogue, (jga, turns) in row["dialogues"].items():
            known[(row["service"], row["seed"], dialogue)] = (jga, turns)
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
            "turns": sum(turns for _, turns in first.values()),
            "jga": round(_jga(list(first.values())), 4),
        }
        if setting != setting.base:
            found_difference = paired_difference(first, second, _jga, resamples=RESAMPLES)
            line["difference"] = [round(v, 4) for v in asdict(found_difference).values()]
        found.append(line)
    return found


def _jga(units: Sequence[Tuple[float, int]]) -> float:
    return sum(jga for jga, _ in units) / sum(turns for _, turns in units)


def printed(lines: Sequence[Row]) -> str:
    """The summary as a table."""
    rows = [f"{'':34}{'JGA':>7}{'minus default':>15}{'95% interval':>19}{'sets':>6}{'turns':>7}"]
    for line in lines:
        value, low, high = line.get("difference", (None, None, None))
        told = (
            f"{value:+15.3f}{f'[{low:+.3f}, {high:+.3f}]':>19}" if value is not None else " " * 34
        )
        rows.append(
            f"{line['setting']:34}{line['jga']:7.3f}{told}{line['support_sets']:6}{line['turns']:7}"
        )
    return "\n".join(rows)


def markdown(name: str, runs: Mapping[str, Mapping[str, Any]]) -> str:
    """An ablation's table: a row a setting, and of each corpus its JGA less the default's."""
    settings = {s.name: s for setting in ABLATIONS[name] for s in (setting.base, setting)}
    lines = {
        corpus: {line["setting"]: line for line in run["summary"]} for corpus, run in runs.items()
    }
    head = "".join(f" {corpus}: JGA | minus default | support sets |" for corpus in runs)
    rows = [f"| |{head}", "|---|" + "---|" * (3 * len(runs))]
    for setting in settings.values():
        cells = "".join(_cells(known.get(setting.name)) for known in lines.values())
        rows.append(f"| {setting.name} |{cells}")
    return "\n".join(rows)


def _cells(line: Any) -> str:
    if line is None:
        return " | | |"
    told = ""
    if "difference" in line:
        value, low, high = line["difference"]
        told = f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
        told = f"**{told}**" if low > 0 or high < 0 else told
    return f" {line['jga']:.3f} | {told} | {line['support_sets']} |"


def defaults(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The default's settings, and what each corpus was measured on."""
    (default,) = {json.dumps(run["settings"]["default"]) for run in runs.values()}
    told = ", ".join(f"`{name}` {value}" for name, value in json.loads(default).items())
    rows = [f"The default: {told}.", ""]
    for corpus, run in runs.items():
        (line,) = [line for line in run["summary"] if line["setting"] == "default"]
        rows.append(
            f"- {corpus} (`{run['settings']['data']}`): {line['services']} domains, "
            f"{line['support_sets']} support sets of {run['settings']['shots']} dialogues, "
            f"{line['turns']} held-out turns"
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
