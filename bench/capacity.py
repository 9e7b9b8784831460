"""What a million domains and 10,000 turns a second would take: a simulation from measured costs.

    python bench/capacity.py --json bench/results/capacity.json

Costs are read from what other benches wrote into bench/results. Which domain a turn is for is drawn
by Zipf's law (the domain of rank r gets a share of 1/r^s) and goes through the cache of adapters
that a bot has (rasa_onramp.memory), on as many machines as the cores need, each with its part of
the domains: a domain's turns all go to one machine, or, where that can't do it, to several. Traffic
alone is simulated, on a few of the machines; no such fleet was run. Figures for GPUs are
arithmetic: operations of a turn, counted by torch, over the share of a card's peak that
is assumed (`--gpu-share`): none was at hand.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy
from tqdm import tqdm

from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.memory import MEGABYTE, LastUsed

__all__ = ["Costs", "hit_rate", "main", "plan", "zipf"]

RESULTS = Path(__file__).resolve().parent / "results"
GIGABYTE = 1024 * MEGABYTE

#: Zipf's exponents: traffic that is spread out, and that few domains have most of.
EXPONENTS = (0.8, 1.0, 1.2)
CACHES_GB = (16, 64, 256, 1024)

#: Machines that are simulated.
WATCHED = 8

Figures = Dict[str, Any]


@dataclass(frozen=True)
class Costs:
    """What was measured, and where (see `read`).

    Milliseconds of one core, means as they are to be multiplied: `turn_ms` a message that is routed
    and tracked, `miss_ms` an adapter that isn't in memory, `reply_ms` a reply by the language
    model, which `written` of them need.
    `ready_mb` is a domain in the cache, `adapter_mb` what is read from the database for it,
    `live_mb` what each domain takes in a bot whether spoken to or not, `stored_mb` in the database,
    replies' part left out. `start_ms` is what a domain adds to a start, `adapt_s` what adapting it
    takes.
    """

    turn_ms: float
    miss_ms: float
    reply_ms: float
    written: float
    ready_mb: float
    adapter_mb: float
    live_mb: float
    stored_mb: float
    start_ms: float
    adapt_s: float
    revision_ms: float
    import_ms: float
    turn_gflop: float

    @classmethod
    def read(cls, folder: Path = RESULTS) -> Costs:
        """From many_domains.json, cost.json, reply_speed.json and replies_own_domains.json."""

        def results(name: str) -> Any:
            return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))

        def mean(row: Figures, key: str, name: str) -> float:
            if key not in row:
                raise SystemExit(f"{name}.json has no {key}; measure again: bench/{name}.py")
            return float(row[key])

        many, cost, speed = results("many_domains"), results("cost"), results("reply_speed")
        threads = speed["settings"]["threads"]
        fewest, most = many["stores"][0], many["stores"][-1]
        more = most["domains"] - fewest["domains"]
        cached = cost["domains"]["figures"][-1]
        (served,) = (
            row for row in results("replies_own_domains")["summary"] if row["method"] == "served"
        )
        steps = {step["step"]: step for step in many["plans"]}
        adapting = cost["adapting"]
        return cls(
            turn_ms=mean(most, "message_mean_ms", "many_domains"),
            miss_ms=mean(many, "miss_mean_ms", "many_domains"),
            reply_ms=1000 * mean(speed, "ours_mean_s", "reply_speed") * threads,
            written=served["written"],
            ready_mb=cached["cache_mb"] / cached["cached_domains"],
            adapter_mb=many["adapter_mb"],
            live_mb=(most["start_mb"] - fewest["start_mb"]) / more,
            stored_mb=(most["database_mb"] - fewest["database_mb"]) / more,
            start_ms=1000 * (most["start_s"] - fewest["start_s"]) / more,
            adapt_s=statistics.fmean(adapting["figures"]["adapt_s"])
            * adapting["machine"]["threads"],
            revision_ms=steps["message"]["ms"],
            import_ms=steps["importing a dialogue"]["ms"],
            turn_gflop=many["turn_gflop"],
        )


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domains", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=10_000, help="a second")
    parser.add_argument("--cores", type=int, default=64, help="of a machine")
    parser.add_argument("--busy", type=float, default=0.6, help="share of the cores' time to use")
    parser.add_argument("--partition-gb", type=float, default=500, help="of a database at most")
    parser.add_argument("--gpu-tflops", type=float, default=989, help="bf16 peak (H100 SXM: 989)")
    parser.add_argument("--gpu-share", type=float, default=0.1, help="of it that a turn reaches")
    parser.add_argument("--seconds", type=int, default=600, help="of traffic that are simulated")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    found = plan(Costs.read(), options)
    print(json.dumps(found, indent=1))
    if options.json is not None:
        write_figures(str(options.json), found)


def plan(costs: Costs, options: argparse.Namespace) -> Figures:
    """All figures."""
    wanted, busy = options.turns, options.busy
    cores = {
        "tracking": wanted * costs.turn_ms / 1000 / busy,
        "writing replies": wanted * costs.written * costs.reply_ms / 1000 / busy,
    }
    machines = max(1, math.ceil(sum(cores.values()) / options.cores))
    own = max(1, options.domains // machines)
    caches = []
    with tqdm(total=len(EXPONENTS) * len(CACHES_GB), desc="caches", unit="run") as bar:
        for exponent in EXPONENTS:
            asked = zipf(options.domains, exponent, wanted * options.seconds)
            hottest = float(numpy.mean(asked == 0)) * wanted
            shares = shared_out(asked, machines)
            for size in CACHES_GB:
                limit, ready = size * GIGABYTE / machines, costs.ready_mb * MEGABYTE
                # of misses, because the few domains that most turns are for aren't on all machines
                missed = sum((1 - hit_rate(share, limit, ready)) * len(share) for share in shares)
                rate = 1 - missed * machines / len(shares) / len(asked)
                misses = wanted * (1 - rate)
                caches.append(
                    {
                        "exponent": exponent,
                        "hottest_turns_a_second": round(hottest),
                        "cache_gb": size,
                        "domains_in_memory": int(size * 1024 / costs.ready_mb),
                        "hit_rate": round(rate, 4),
                        "misses_a_second": round(misses),
                        "read_mb_a_second": round(misses * costs.adapter_mb),
                        "cores": math.ceil(misses * costs.miss_ms / 1000 / busy),
                    }
                )
                bar.update()
    stored_gb = costs.stored_mb * options.domains / 1024
    gpu = options.gpu_tflops * 1000 * options.gpu_share
    return {
        "wanted": {
            "domains": options.domains,
            "turns_a_second": wanted,
            "cores_a_machine": options.cores,
            "busy": busy,
            "simulated_seconds": options.seconds,
        },
        "costs": {name: round(value, 4) for name, value in asdict(costs).items()},
        "cores": {name: math.ceil(count) for name, count in cores.items()},
        "machines": machines,
        "domains_a_machine": own,
        "live_gb_a_machine": round(costs.live_mb * own / 1024, 1),
        "live_gb_all": round(costs.live_mb * options.domains / 1024, 1),
        "start_minutes_a_machine": round(costs.start_ms * own / 60_000, 1),
        "caches": caches,
        "stored_gb": round(stored_gb),
        "partitions": max(1, math.ceil(stored_gb / options.partition_gb)),
        "revision_cores": round(wanted * costs.revision_ms / 1000, 1),
        "changes_a_second_a_store": round(1000 / costs.import_ms, 1),
        "core_days_to_adapt": round(costs.adapt_s * options.domains / 86_400, 1),
        "gpu": {
            "peak_tflops": options.gpu_tflops,
            "share_of_peak": options.gpu_share,
            "turns_a_second_each": round(gpu / costs.turn_gflop),
            "cards_for_tracking": max(1, math.ceil(wanted * costs.turn_gflop / gpu / busy)),
        },
    }


def zipf(domains: int, exponent: float, count: int, seed: int = 0) -> numpy.ndarray:
    """The ranks of `count` turns' domains, from 0."""
    weights = numpy.arange(1, domains + 1, dtype=numpy.float64) ** -exponent
    below = numpy.cumsum(weights)
    draw = numpy.random.default_rng(seed).random(count) * below[-1]
    return numpy.searchsorted(below, draw)


def shared_out(asked: numpy.ndarray, machines: int) -> List[List[int]]:
    """The turns of a few machines, among which the domains are spread as if by chance."""
    # Knuth's multiplicative hash
    places = (asked.astype(numpy.uint64) * numpy.uint64(2654435761) >> numpy.uint64(12)) % machines
    return [asked[places == place].tolist() for place in range(min(WATCHED, machines))]


def hit_rate(asked: Sequence[int], limit: float, size: float) -> float:
    """How often a domain of `size` bytes is in a cache of `limit`, in the second half of the turns:
    in the first it fills up.
    """
    cache: LastUsed[int, bool] = LastUsed(int(limit))
    met: List[bool] = []
    for number, domain in enumerate(asked):
        hit = cache.get(domain) is not None
        if not hit:
            cache.put(domain, True, int(size))
        if number >= len(asked) // 2:
            met.append(hit)
    return sum(met) / max(1, len(met))


if __name__ == "__main__":
    main()
