"""What adapting costs in time, memory and arithmetic, and what many domains cost.

    python bench/cost.py --json bench/results/cost.json
    python bench/figures.py --write                    # puts them into docs/cost.md
    python bench/cost.py --only adapting --profile     # where the time goes

`steps`, `support`: a run of inner steps against their number (on five dialogues) and against the
support's size, in the steps that it takes. `sizes`: adapting, and a turn, with encoders of other
sizes.
`adapting` and `replies`: what the shipped checkpoints recommend for five dialogues, beside the bare
forward and backward passes of the same batches, taken alternately; the arithmetic of those passes
(torch's flop counter) over the seconds of adapting, as a share of what a large matrix product
reaches here (the roofline's ceiling; Williams et al. 2009). `meta`: the same of meta-training, an
episode by each of some algorithms. `domains`: routing a message and keeping adapters with 1 to
1,000 domains, made of copies of training_data/dev's.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import torch
from tqdm import tqdm

from cost_domains import Domain, many_domains
from cost_measures import Counting, Figures, ceiling, peak_mb, seconds_of
from cost_sizes import meta_training, sizes
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.formats import read
from rasa_onramp.generator.checkpoint import available_replies
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.metalearning import reply_training
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support
from rasa_onramp.metalearning.precision import computing, learning_attention
from rasa_onramp.metalearning.reply_episodes import support_and_queries
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.sentences import SentenceEncoder
from tracker_speed import bare_seconds

__all__ = ["SECTIONS", "beside_bare", "main"]

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / "training_data" / "dev"
STEPS, SUPPORTS = (4, 8, 16, 32), (1, 2, 5, 10)
FULL = 5


def domains_of(folder: Path) -> List[Domain]:
    """A folder's domains, each with its dialogues."""
    corpora = [read(path) for path in sorted(folder.glob("*.yml"))]
    return [(schema, c.dialogues) for c in corpora for schema in c.schemas.values()]


def steps_and_supports(
    tracker: StateTracker, domain: Domain, repeats: int, told: Callable[[], Any]
) -> Dict[str, List[Figures]]:
    """Seconds (the median of `repeats`) and peak memory of one run."""
    schema, dialogues = domain

    def figures(support: int, steps: Optional[int] = None) -> Figures:
        how = Adaptation.of(tracker, steps=steps, runs=1, offers=True).for_support(support)

        def work() -> None:
            adapt_to_support(tracker, schema, dialogues[:support], how)

        peak = peak_mb(work)
        taken = statistics.median(seconds_of(work) for _ in range(repeats))
        told()
        size = {"steps": how.steps, "support": support}
        return {**size, "seconds": round(taken, 2), "peak_mb": peak}

    return {
        "steps": [figures(FULL, steps) for steps in STEPS],
        "support": [figures(support) for support in SUPPORTS],
    }


def beside_bare(
    adapting: Callable[[], Any], bare: Callable[[], float], repeats: int, told: Callable[[], Any]
) -> Figures:
    """Seconds of both, taken alternately, and the arithmetic of the bare passes."""
    with Counting() as counter:
        bare()
    adapt_s, bare_s = [], []
    for _ in range(repeats):
        adapt_s.append(seconds_of(adapting))
        bare_s.append(bare())
        told()
    flop, adapt_median = counter.operations, statistics.median(adapt_s)
    return {
        "adapt_s": [round(s, 2) for s in adapt_s],
        "bare_s": [round(s, 2) for s in bare_s],
        "over_bare": round(adapt_median / statistics.median(bare_s), 3),
        "gflop": round(flop / 1e9, 1),
        "gflop_s": round(flop / 1e9 / adapt_median, 1),
    }


def tracker_beside_bare(
    tracker: StateTracker, domain: Domain, repeats: int, told: Callable[[], Any]
) -> Figures:
    """The tracker's adaptation, as recommended."""
    schema, dialogues = domain
    support = dialogues[:FULL]
    how = Adaptation.of(tracker, offers=True).for_support(len(support))
    figures = beside_bare(
        lambda: adapt_to_support(tracker, schema, support, how),
        lambda: bare_seconds(tracker, schema, support, how),
        repeats,
        told,
    )
    return {"inner_steps": how.all_steps, **figures}


def replies_beside_bare(
    model: ReplyModel, embed: Any, domain: Domain, repeats: int, told: Callable[[], Any]
) -> Figures:
    """The replies' adaptation, as recommended."""
    schema, dialogues = domain
    said = [support_replies(schema, [dialogue]) for dialogue in dialogues[:FULL]]
    support = support_and_queries(model.tokens, schema, said, [], embed).support
    how = reply_training.ReplyAdaptation.of(model)

    def bare() -> float:
        batches = reply_training.inner_batches(
            support, how.steps, how.dialogues_a_step, random.Random(0)
        )
        weights = {k: v.clone().requires_grad_(True) for k, v in model.weights.items()}
        return seconds_of(
            lambda: [
                torch.autograd.grad(model.loss(batch, weights), list(weights.values()))
                for batch in batches
            ]
        )

    figures = beside_bare(lambda: reply_training.adapt_replies(model, support), bare, repeats, told)
    return {"inner_steps": how.steps, **figures}


def profiled(tracker: StateTracker, domain: Domain) -> str:
    """Where four inner steps spend their time."""
    schema, dialogues = domain
    how = Adaptation.of(tracker, steps=4, runs=1, offers=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        adapt_to_support(tracker, schema, dialogues[:FULL], how)
    return profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=20)


def sections(
    tracker: StateTracker, domains: Sequence[Domain], repeats: int, bar: tqdm
) -> Dict[str, Callable[[], Figures]]:
    """What can be measured, by name: each gives the figures of one table, or of two."""
    told, domain = bar.update, domains[0]

    def replies() -> Figures:
        model = available_replies(bar.write, attention=learning_attention)
        if model is None:
            return {}
        embed = SentenceEncoder.load().embed
        figures = replies_beside_bare(model, embed, domain, repeats, told)
        return {"replies": {**figures, "checkpoint": model.digest}}

    return {
        "steps": lambda: steps_and_supports(tracker, domain, repeats, told),
        "sizes": lambda: {"sizes": sizes(tracker, domain, repeats, told)},
        "adapting": lambda: {"adapting": tracker_beside_bare(tracker, domain, repeats, told)},
        "replies": replies,
        "meta": lambda: {"meta": meta_training(tracker, domain, repeats, told)},
        "domains": lambda: {
            "domains": many_domains(tracker, SentenceEncoder.load().embed, domains, told)
        },
    }


SECTIONS = ("steps", "sizes", "adapting", "replies", "meta", "domains")


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure, print, and join what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--json", type=Path, help="write the figures there, beside other sections'")
    options = parser.parse_args(arguments)
    only = options.only.split(",")
    if not set(only) <= set(SECTIONS):
        parser.error(f"--only {options.only}: choose of {', '.join(SECTIONS)}")
    torch.set_num_threads(options.threads)
    domains, tracker = domains_of(DEV), load_tracker()
    schema, dialogues = domains[0]
    machine = machine_of(tracker)
    adapt_to_support(tracker, schema, dialogues[:1], Adaptation(steps=1))  # warm up
    with tqdm(desc="cost", disable=None) as bar:
        known = sections(tracker, domains, options.repeats, bar)
        for name in only:
            for table, figures in known[name]().items():
                found = {table: {"machine": machine, "figures": figures}}
                bar.write(json.dumps(found, indent=1))
                if options.json is not None:
                    join(options.json, found)
    if options.profile:
        print(profiled(tracker, domains[0]))


def join(path: Path, found: Figures) -> None:
    """Put figures into a file, beside those of other tables."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_figures(str(path), {**known, **found})


def machine_of(tracker: StateTracker) -> Figures:
    """What figures depend on, and the ceiling that arithmetic is set against."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "checkpoint": tracker.digest,
        "precision": computing(tracker.device)["precision"],
        "ceiling_gflop_s": {name: round(ceiling(d) / 1e9, 1) for name, d in kinds.items()},
    }


if __name__ == "__main__":
    main()
