"""What adapting and many domains cost: what bench/cost.py wrote."""

from __future__ import annotations

import statistics
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from result_tables.table import Grid, Part, Results, Table

__all__ = ["TABLE"]

Figures = Mapping[str, Any]


def steps(results: Sequence[Results]) -> Optional[Grid]:
    """A row a number of inner steps."""
    return _runs(results, "steps", {"inner steps": "steps"})


def support(results: Sequence[Results]) -> Optional[Grid]:
    """A row a size of the support."""
    return _runs(results, "support", {"support dialogues": "support", "inner steps": "steps"})


def adapting(results: Sequence[Results]) -> Optional[Grid]:
    """The tracker and the replies, beside their bare passes and the machine's ceiling."""
    (found,) = results
    sections = [(what, found[key]) for what, key in _ADAPTING.items() if key in found]
    rows = []
    for what, section in sections:
        figures, ceiling = section["figures"], section["machine"]["ceiling_gflop_s"]
        # the language model is always in bfloat16
        precision = "bf16" if what == "replies" else section["machine"]["precision"]
        rows.append(
            (
                what,
                str(figures["inner_steps"]),
                f"{statistics.median(figures['adapt_s']):.1f}",
                f"{statistics.median(figures['bare_s']):.1f}",
                f"{figures['over_bare']:.2f}",
                f"{figures['gflop']:,.0f}",
                f"{figures['gflop_s']:,.0f}",
                f"{ceiling[precision]:,.0f} ({precision}; fp32 {ceiling['fp32']:,.0f})",
                f"{100 * figures['gflop_s'] / ceiling[precision]:.0f}%",
            )
        )
    names = "what adapts|inner steps|seconds|bare passes, s|ratio|GFLOP|GFLOP/s|ceiling, GFLOP/s"
    header = (*names.split("|"), "share of it")
    return _grid(header, rows, [section for _, section in sections], ceiling=False)


def sizes(results: Sequence[Results]) -> Optional[Grid]:
    """A row an encoder."""
    sections = [found["sizes"] for found in results if "sizes" in found]
    rows = [
        (
            row["encoder"],
            f"{row['parameters'] / 1e6:.0f}",
            f"{statistics.median(row['adapt_s']):.1f}",
            _memory(row["peak_mb"]),
            f"{row['turn_p50_ms']:.0f}",
            str(row["adapter_kb"]),
        )
        for section in sections
        for row in section["figures"]
    ]
    names = "encoder|million parameters|adapting, s|peak memory, MB|a turn, ms|an adapter, kB"
    return _grid(tuple(names.split("|")), rows, sections)


def meta(results: Sequence[Results]) -> Optional[Grid]:
    """A row an algorithm of meta-training."""
    sections = [found["meta"] for found in results if "meta" in found]
    rows = []
    for section in sections:
        precision, ceilings = section["machine"]["precision"], section["machine"]["ceiling_gflop_s"]
        for row in section["figures"]:
            reached = row["gflop_s"] / ceilings[precision]
            rows.append(
                (
                    f"`{row['algorithm']}`, order {row['order']}",
                    str(row["inner_steps"]),
                    f"{statistics.median(row['seconds']):.1f}",
                    _memory(row["peak_mb"]),
                    f"{row['gflop']:,.0f}",
                    f"{row['gflop_s']:,.0f}",
                    f"{100 * reached:.0f}%",
                )
            )
    names = "algorithm|inner steps|an episode, s|peak memory, MB|GFLOP|GFLOP/s"
    return _grid((*names.split("|"), "share of the ceiling"), rows, sections)


def domains(results: Sequence[Results]) -> Optional[Grid]:
    """A row a number of domains."""
    sections = [found["domains"] for found in results if _domains_measured(found)]
    rows = [
        (
            str(row["domains"]),
            f"{row['embed_ms']:.1f}",
            f"{row['route_p50_ms']:.2f}",
            f"{row['index_mb']:.1f}",
            str(row["cached_domains"]),
            f"{row['cache_mb']:.0f}",
            f"{row['miss_p50_ms']:.0f}",
        )
        for section in sections
        for row in section["figures"]
    ]
    names = "domains|embedding a message, ms|routing it, ms|router's index, MB|domains in cache"
    return _grid((*names.split("|"), "cache, MB", "a miss, ms"), rows, sections)


def lacks(results: Sequence[Results]) -> List[str]:
    """Sections that weren't measured."""
    wanted = ("steps", "support", "sizes", *_ADAPTING.values(), "meta")
    missing = [name for name in wanted if any(name not in found for found in results)]
    return missing + ["domains"] * (not all(map(_domains_measured, results)))


_ADAPTING = {"tracker": "adapting", "replies": "replies"}

TABLE = Table(
    "cost",
    "What adapting costs",
    "Time, memory and arithmetic of adapting on a CPU, and what many domains cost a running bot; "
    "domains of training_data/dev.",
    ("cost.json",),
    "python bench/cost.py --threads 1 --json bench/results/cost.json",
    None,
    parts=(
        Part("cost-steps", "Inner steps", steps),
        Part("cost-support", "Support dialogues", support),
        Part("cost-sizes", "Size of the encoder", sizes),
        Part("cost-adapting", "Beside the bare passes, and the machine's ceiling", adapting),
        Part("cost-meta", "Meta-training, and the machine's ceiling", meta),
        Part("cost-domains", "Many domains", domains),
    ),
    page="docs/cost.md",
    lacks=lacks,
)


def _domains_measured(found: Results) -> bool:
    """Not so in files of an earlier version, whose cache had room for 16 domains."""
    return "domains" in found and all("cache_limit_mb" in r for r in found["domains"]["figures"])


def _runs(results: Sequence[Results], name: str, columns: Mapping[str, str]) -> Optional[Grid]:
    sections = [found[name] for found in results if name in found]
    rows = [
        (*(str(row[k]) for k in columns.values()), f"{row['seconds']:.1f}", _memory(row["peak_mb"]))
        for section in sections
        for row in section["figures"]
    ]
    return _grid((*columns, "seconds", "peak memory, MB"), rows, sections)


def _memory(peak: Optional[float]) -> str:
    return "" if peak is None else f"{peak:.0f}"


def _grid(
    header: Tuple[str, ...],
    rows: Sequence[Tuple[str, ...]],
    sections: Sequence[Figures],
    *,
    ceiling: bool = True,
) -> Optional[Grid]:
    """With what was measured on below, its `ceiling` too; None without rows."""
    if not rows:
        return None
    machine = sections[0]["machine"]
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    note = f"{threads}, torch {machine['torch']}, tracker in {machine['precision']}"
    if ceiling:
        reached = machine["ceiling_gflop_s"][machine["precision"]]
        note += f"; a large matrix product then reached {reached:,.0f} GFLOP/s"
    return Grid(header, tuple(rows), f"({note})")
