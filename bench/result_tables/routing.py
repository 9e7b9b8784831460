"""Routing by embeddings as they are and in learned spaces: what bench/routing_many.py and
bench/routing.py wrote.
"""

from __future__ import annotations

from typing import Sequence, Tuple

from result_tables.table import Grid, Results, Table

__all__ = ["MANY", "OWN", "TABLES"]

_PAGE = "docs/components/router.md"


def many(results: Sequence[Results]) -> Grid:
    """A row a number of domains and space, with the intervals of differences to the plain one."""
    (found,) = results
    rows = []
    for row in found["summary"]:
        cells = []
        for key in ("right", "best", "taken", "auroc"):
            cell = f"{row[key][0]:.3f}"
            if "minus plain" in row:
                _, low, high = row["minus plain"][key]
                cell += f" [{low:+.3f}, {high:+.3f}]"
            cells.append(cell)
        rows.append((str(row["domains"]), row["method"], *cells))
    pool = {source: len(names) for source, names in found["settings"]["pool"].items()}
    told = ", ".join(f"{count} of {source}" for source, count in pool.items())
    note = f"({found['settings']['seeds']} draws of {sum(pool.values())} domains: {told})"
    header = ("domains", "router's space, or peer", "right", "best", "taken", "AUROC")
    return Grid(header, tuple(rows), note)


def own(results: Sequence[Results]) -> Grid:
    """A row a space, a column a kind of message: the share that is routed right."""
    (found,) = results
    kinds = list(dict.fromkeys(name for row in found["summary"] for name in row["kinds"]))
    rows = tuple(
        (row["method"], *(f"{row['kinds'][kind]['right']:.3f}" for kind in kinds))
        for row in found["summary"]
    )
    counts = found["summary"][0]["kinds"]
    header = (f"{kind} ({counts[kind]['messages']})" for kind in kinds)
    return Grid(("right on", *header), rows)


_METRICS = " ".join(
    f"--metric runs/{name}/metric" for name in ("prototypical", "matching", "siamese")
)

MANY = Table(
    "routing-many",
    "Routing among many domains",
    "As many domains as the first column says are onboarded with five dialogues each, drawn of "
    "domains that no space was learned on; the others' first messages are out of scope. Means "
    "over draws, in brackets the 95% interval of the difference to embeddings as they are.",
    ("routing_many.json",),
    f"python bench/routing_many.py --sgd $SGD/dev --seeds 5 \\\n  {_METRICS} \\\n"
    "  --json bench/results/routing_many.json",
    many,
    page=_PAGE,
)

OWN = Table(
    "routing-own",
    "Routing among our own four domains",
    "Held-out messages of dialogue_data/ and, as other services, 300 first messages of SGD dev; "
    "shares that are routed right, with the number of messages.",
    ("routing_own_domains.json",),
    f"python bench/routing.py --sgd $SGD/dev \\\n  {_METRICS} \\\n"
    "  --json bench/results/routing_own_domains.json",
    own,
    page=_PAGE,
)

TABLES: Tuple[Table, ...] = (MANY, OWN)
