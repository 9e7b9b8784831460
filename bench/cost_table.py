"""The tables of docs/cost.md, from what bench/cost.py wrote.

python bench/cost_table.py            # print the page
python bench/cost_table.py --write    # put them into docs/cost.md, at its markers
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from ablations_table import filled

__all__ = ["page", "tables"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cost.md"
RESULTS = ROOT / "bench" / "results" / "cost.json"

Figures = Mapping[str, Any]


def tables(found: Mapping[str, Figures]) -> Dict[str, str]:
    """The page's tables by the names of their markers."""
    beside = {name: found[name] for name in ("adapting", "replies") if name in found}
    texts = {name: _runs(found[name], name) for name in ("steps", "support") if name in found}
    if beside:
        texts["adapting"] = _beside_bare(beside)
    if "domains" in found:
        texts["domains"] = _domains(found["domains"])
    missing = dict.fromkeys(("steps", "support", "adapting", "domains"), "Not measured yet.")
    return {**missing, **texts}


def _runs(section: Figures, varies: str) -> str:
    names = {"steps": "inner steps", "support": "support dialogues"}
    rows = [
        [row[varies], f"{row['seconds']:.1f}", _memory(row["peak_mb"])]
        for row in section["figures"]
    ]
    return _under(section, _table([names[varies], "seconds", "peak memory, MB"], rows))


def _memory(peak: Any) -> str:
    return "" if peak is None else f"{peak:.0f}"


def _beside_bare(found: Mapping[str, Figures]) -> str:
    rows = []
    for name, section in found.items():
        figures, ceiling = section["figures"], section["machine"]["ceiling_gflop_s"]
        # the language model is always in bfloat16
        precision = "bf16" if name == "replies" else section["machine"]["precision"]
        rows.append(
            [
                "tracker" if name == "adapting" else name,
                figures["inner_steps"],
                f"{statistics.median(figures['adapt_s']):.1f}",
                f"{statistics.median(figures['bare_s']):.1f}",
                f"{figures['over_bare']:.2f}",
                f"{figures['gflop']:,.0f}",
                f"{figures['gflop_s']:,.0f}",
                f"{ceiling[precision]:,.0f} ({precision}; fp32 {ceiling['fp32']:,.0f})",
                f"{100 * figures['gflop_s'] / ceiling[precision]:.0f}%",
            ]
        )
    names = "what adapts|inner steps|seconds|bare passes, s|ratio|GFLOP|GFLOP/s|ceiling, GFLOP/s"
    (first, *_) = found.values()
    return _under(first, _table([*names.split("|"), "share of it"], rows))


def _domains(section: Figures) -> str:
    rows = [
        [
            row["domains"],
            f"{row['embed_ms']:.1f}",
            f"{row['route_p50_ms']:.2f}",
            f"{row['index_mb']:.1f}",
            row["cached_domains"],
            f"{row['cache_mb']:.0f}",
            f"{row['miss_p50_ms']:.0f}",
        ]
        for row in section["figures"]
    ]
    names = "domains|embedding a message, ms|routing it, ms|router's index, MB|domains in cache"
    return _under(section, _table([*names.split("|"), "cache, MB", "a miss, ms"], rows))


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [list(names), ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _under(section: Figures, table: str) -> str:
    machine = section["machine"]
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    return f"{table}\n\n({threads}, torch {machine['torch']}, tracker in {machine['precision']})"


def page() -> str:
    """docs/cost.md with its tables made anew."""
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    return filled(PAGE.read_text(encoding="utf-8"), tables(found))


def main() -> None:
    """Print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put them into docs/cost.md")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page())


if __name__ == "__main__":
    main()
