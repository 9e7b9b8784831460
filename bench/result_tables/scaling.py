"""Many domains: tables of what bench/many_domains.py, routing_scale.py and capacity.py wrote."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence, Tuple

from result_tables.table import Grid, Part, Results, Table

__all__ = ["TABLES"]


def stores(results: Sequence[Results]) -> Grid:
    """A bot with few domains beside one with many."""
    (found,) = results
    rows: List[Tuple[str, Callable[[Any], str]]] = [
        ("dialogues", lambda s: f"{s['dialogues']:,}"),
        ("turns", lambda s: f"{s['turns']:,}"),
        ("database, MB", lambda s: f"{s['database_mb']:,}"),
        ("import, dialogues a second", lambda s: f"{s['imported_a_second']:,}"),
        ("the first start, s", lambda s: f"{s['first_start_s']:.1f}"),
        ("a later start, s", lambda s: f"{s['start_s']:.1f}"),
        ("memory of the live domains, MB", lambda s: f"{s['start_mb']:.0f}"),
        ("a message, routed and tracked, p50 ms", lambda s: f"{s['message_p50_ms']:.1f}"),
        ("of these: asking what changed", lambda s: f"{s['revision_p50_ms']:.1f}"),
        ("embedding it", lambda s: f"{s['embed_p50_ms']:.1f}"),
        ("routing it", lambda s: f"{s['route_p50_ms']:.1f}"),
        ("a message, over that with fewest domains", lambda s: f"{s['message_ratio']:.2f}"),
        ("after a new dialogue, ms", lambda s: f"{s['dialogue_refresh_ms']:.0f}"),
        ("after another adapter version, ms", lambda s: f"{s['version_refresh_ms']:.0f}"),
    ]
    made = [(name, *(cell(store) for store in found["stores"])) for name, cell in rows]
    header = ("", *(f"{store['domains']:,} domains" for store in found["stores"]))
    return Grid(header, tuple(made))


def queries(results: Sequence[Results]) -> Grid:
    """What the database is asked, on the largest store."""
    (found,) = results
    rows = [
        (
            step["step"],
            str(step["queries"]),
            f"{step['ms']:.1f}",
            ", ".join(step["read_from_end_to_end"]) or "none",
        )
        for step in found["plans"]
    ]
    return Grid(("", "queries", "ms", "large tables read from end to end"), tuple(rows))


def together(results: Sequence[Results]) -> Grid:
    """Turns of several domains in one pass."""
    (found,) = results
    rows = [
        (
            str(row["domains"]),
            f"{row['alone_ms']:.1f}",
            f"{row['ms']:.1f}",
            f"{row['alone_ms'] / row['ms']:.2f}",
        )
        for row in found["together"]
    ]
    header = ("domains", "a turn, one after the other, ms", "a turn, in one pass, ms", "speed-up")
    return Grid(header, tuple(rows))


def missed(results: Sequence[Results]) -> Grid:
    """What a shortlist loses."""
    (found,) = results
    row = found["missed"]
    count = row["messages"]
    rows = [
        ("domains; first messages", f"{row['domains']}; {count}"),
        ("domains compared, of these", f"{row['compared']:.0f}"),
        ("the likeliest by all messages isn't among them", _share(row["lost_as_message"], count)),
        ("the likeliest by openings isn't among them", _share(row["lost_as_opening"], count)),
        ("the message is routed elsewhere", _share(row["other_route"], count)),
        ("comparing with all / with the shortlist, ms", f"{row['all_ms']} / {row['shortlist_ms']}"),
    ]
    return Grid(("", ""), tuple(rows))


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f}%)"


def shortlist(results: Sequence[Results]) -> Grid:
    """Finding the shortlist among many."""
    (found,) = results
    rows = [
        (
            f"{row['domains']:,}",
            f"{row['product_ms']:.2f}",
            f"{row['groups_ms']:.2f}",
            f"{100 * row['found']:.1f}%",
            f"{row['build_s']:.1f}",
            f"{row['rebuild_s']:.1f}",
            f"{row['mb']:.0f}",
        )
        for row in found["speed"]
    ]
    header = ("domains", "one product, ms", "groups, ms", "found", "groups made, s")
    return Grid((*header, "after a change, s", "vectors, MB"), tuple(rows))


def caches(results: Sequence[Results]) -> Grid:
    """Adapters in memory, by traffic and size."""
    (found,) = results
    rows = [
        (
            f"{row['exponent']}",
            f"{row['hottest_turns_a_second']:,}",
            f"{row['cache_gb']:,}",
            f"{row['domains_in_memory']:,}",
            f"{100 * row['hit_rate']:.1f}%",
            f"{row['misses_a_second']:,}",
            f"{row['read_mb_a_second']:,}",
            f"{row['cores']:,}",
        )
        for row in found["caches"]
    ]
    header = ("Zipf's s", "the most used domain, turns a second", "memory for adapters, GB")
    more = ("domains in it", "hits", "misses a second", "read, MB a second", "cores for misses")
    return Grid((*header, *more), tuple(rows))


def needs(results: Sequence[Results]) -> Grid:
    """What the fleet is made of."""
    (found,) = results
    costs, gpu, wanted = found["costs"], found["gpu"], found["wanted"]
    rows = [
        ("cores for tracking", f"{found['cores']['tracking']:,}", f"{costs['turn_ms']} ms a turn"),
        (
            "cores for writing replies",
            f"{found['cores']['writing replies']:,}",
            f"{costs['reply_ms']:.0f} core-ms for {100 * costs['written']:.0f}% of the replies",
        ),
        (
            "machines",
            f"{found['machines']:,}",
            f"of {wanted['cores_a_machine']} cores, {100 * wanted['busy']:.0f}% busy",
        ),
        (
            "memory for live domains, GB",
            f"{found['live_gb_all']:,} ({found['live_gb_a_machine']} a machine)",
            f"{1024 * costs['live_mb']:.0f} kB a domain",
        ),
        (
            "a machine's start, minutes",
            f"{found['start_minutes_a_machine']}",
            f"{costs['start_ms']:.1f} ms a domain, embeddings from the store",
        ),
        (
            "cores of databases for asking what changed",
            f"{found['revision_cores']}",
            f"{costs['revision_ms']} ms a turn, the bot's waiting included",
        ),
        (
            "database, GB",
            f"{found['stored_gb']:,}, in {found['partitions']} stores",
            f"{costs['stored_mb']:.2f} MB a domain, without replies' parts",
        ),
        (
            "changes a second in one store",
            f"{found['changes_a_second_a_store']}",
            f"writers queue up; importing a dialogue takes {costs['import_ms']} ms",
        ),
        (
            "core-days to adapt all once",
            f"{found['core_days_to_adapt']:,}",
            f"{costs['adapt_s']:.1f} s a tracker's adapter",
        ),
        (
            "GPUs for tracking, computed",
            f"{gpu['cards_for_tracking']}",
            f"{costs['turn_gflop']} GFLOP a turn; {gpu['peak_tflops']:.0f} TFLOP/s at "
            f"{100 * gpu['share_of_peak']:.0f}% of peak",
        ),
    ]
    return Grid(("", "needed", "from"), tuple(rows))


_PAGE = "docs/scaling.md"

TABLES: Tuple[Table, ...] = (
    Table(
        "scaling-stores",
        "Many domains in one PostgreSQL",
        "The same messages to the same domains, every number of domains in turns; one thread.",
        ("many_domains.json",),
        "python bench/many_domains.py --json bench/results/many_domains.json",
        stores,
        parts=(
            Part(
                "scaling-queries",
                "What the database is asked",
                queries,
                "On the largest of these stores, and whether PostgreSQL's plan reads any table of "
                "500 rows or more from end to end.",
            ),
            Part(
                "scaling-together",
                "Turns of several domains in one pass",
                together,
                "Each turn under its own adapter, beside one after the other; one thread.",
            ),
        ),
        page=_PAGE,
    ),
    Table(
        "scaling-missed",
        "What a shortlist of domains misses",
        "First messages of our own domains' dialogues, compared with a shortlist and with all.",
        ("routing_scale.json",),
        "python bench/routing_scale.py --json bench/results/routing_scale.json",
        missed,
        parts=(
            Part(
                "scaling-shortlist",
                "Finding the shortlist",
                shortlist,
                "By one product of matrices and by groups, among mixtures of our own domains; "
                "found: how often the groups have what the product ranks first.",
            ),
        ),
        page=_PAGE,
    ),
    Table(
        "scaling-needs",
        "A million domains and 10,000 turns a second",
        "Computed from the means of what was measured.",
        ("capacity.json",),
        "python bench/capacity.py --json bench/results/capacity.json",
        needs,
        parts=(
            Part(
                "scaling-caches",
                "Adapters in memory at a million domains",
                caches,
                "Simulated: traffic by Zipf's law through the bot's cache.",
            ),
        ),
        page=_PAGE,
    ),
)
