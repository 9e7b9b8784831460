"""How far figures fall when schemas, users or support dialogues aren't as they should be.

    python bench/robustness.py --data $SGD/dev --paraphrases $SGD/sgd_x/data/v*/dev --json OUT
    python bench/figures.py --write        # puts what is in bench/results into docs/robustness.md

Zero-shot, plainly fine-tuned and adapted trackers are measured on services unseen in training, as
`rasa-onramp evaluate` draws them: under paraphrased schemas (SGD-X), other orders of the schema,
typos, other cases, wrong labels, and a support set that never mentions a slot; docs/robustness.md
says what each is. Then domains are onboarded in different orders, which must change nothing.

Rows are kept in OUT.journal as they are measured, and are in OUT at the end. The same command goes
on where it was stopped; one with other services, methods or conditions adds to what is there.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from tqdm import tqdm

from measuring import journal_beside, label, tell_if_done
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.cli.training_corpora import training_tasks
from rasa_onramp.embedding import CachedEmbed
from rasa_onramp.errors import ConfigError, OnrampError
from rasa_onramp.evaluation.journal import Journal
from rasa_onramp.evaluation.methods import METHODS
from rasa_onramp.evaluation.protocol import Protocol, choose_services
from rasa_onramp.metalearning.adaptation import Adaptation
from rasa_onramp.metalearning.precision import computing
from rasa_onramp.runtime.background import load_background
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.sentences import SentenceEncoder
from result_tables.robustness import TABLE
from result_tables.table import printed
from robustness_parts.conditions import GROUPS, Study, Variants, studies
from robustness_parts.measuring import Row, key_of, measured, planned
from robustness_parts.order import routing, tracking
from robustness_parts.summary import missed_slots, sensitivities, summarise

#: Orders in which domains are onboarded: to track (each adapts them all), and to route.
TRACKING_ORDERS, ROUTING_ORDERS = 2, 3


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure and print."""
    options = _parsed(arguments)
    try:
        print(printed(TABLE, [run(options, load_tracker(options.checkpoint))]))
    except OnrampError as error:
        sys.exit(f"robustness.py: {error}")


def _parsed(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, help="folder in SGD's format, YAML file or folder of them")
    add("--paraphrases", nargs="+", default=[], help="folders of the same schemas in other words")
    add("--services", default="unseen", help="unseen, all, or names with commas")
    add("--shots", type=int, default=5, help="support dialogues")
    add("--seeds", type=int, default=1, help="support sets")
    add("--limit", type=int, default=2, help="held-out dialogues of a service and seed")
    add("--own-split", action="store_true", help="take the support dialogues that the data names")
    add("--offers", action="store_true", help="mark the values that the bot states")
    add("--methods", nargs="+", choices=METHODS, default=METHODS)
    add("--conditions", nargs="+", choices=GROUPS, default=GROUPS, metavar="NAME")
    add("--order-domains", type=int, default=10, help="domains routed to in orders; 0: none")
    add("--order-adapted", type=int, default=4, help="of them, how many are adapted and tracked")
    add("--order-steps", type=int, default=1, help="inner steps a run that those are adapted by")
    add("--resamples", type=int, default=10_000, help="of the intervals' bootstrap; 40 or more")
    add("--checkpoint", help="folder of a tracker; default: the one that ships")
    add("--json", type=Path, help="where results are written, and taken up")
    options = parser.parse_args(arguments)
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json: {options.json.parent} is no folder; create it first")
    least = {"shots": 1, "seeds": 1, "limit": 1, "order_steps": 1, "order_adapted": 1}
    least["resamples"] = 40
    for name, number in least.items():
        if getattr(options, name) < number:
            parser.error(f"--{name.replace('_', '-')}: at least {number}")
    return options


def run(options: argparse.Namespace, tracker: StateTracker) -> Dict[str, Any]:
    """All results; those that are in the file already aren't measured again."""
    protocol = Protocol(
        shots=(options.shots,),
        seeds=options.seeds,
        methods=tuple(options.methods),
        limit=options.limit,
        offers=options.offers,
        own_split=options.own_split,
    )
    corpus = read_all([options.data], None)
    services = choose_services(corpus, options.services, tracker.training_services)
    found = list(studies(corpus, services, protocol, _variants(options)))
    if not found:
        raise ConfigError(
            f"no service has {options.shots} support dialogues and others held out; lower --shots"
        )
    settings = {
        "data": label(options.data),
        "paraphrases": [label(path) for path in options.paraphrases],
        "shots": options.shots,
        "limit": options.limit,
        "dialogues": protocol.dialogues,
        "own_split": options.own_split,
        "offers": options.offers,
        "adaptation": Adaptation.of(tracker, offers=options.offers).as_settings,
        **computing("cpu"),
        "finetune": protocol.finetuning.as_settings,
        "checkpoint": tracker.digest,
    }
    journal, earlier = journal_beside(options.json, settings)
    _measure(tracker, found, protocol, options.conditions, journal)
    order = earlier.get("order")
    if options.order_domains:
        every = [*services, *(name for name in corpus.schemas if name not in services)]
        able = studies(corpus, every, replace(protocol, seeds=1), {})
        domains = list(itertools.islice(able, options.order_domains))
        if order is None or _sizes(order) != _wanted(domains, options):
            order = _order(tracker, domains, options)
    results = {
        "settings": settings,
        **({} if order is None else {"order": order}),
        "summary": summarise(journal.rows, options.resamples),
        "sensitivity": sensitivities(journal.rows),
        "missed_slots": missed_slots(journal.rows, options.resamples),
        "runs": journal.rows,
    }
    if options.json is not None:
        write_figures(str(options.json), results)
    journal.close()
    return results


def _variants(options: argparse.Namespace) -> Variants:
    """Other wordings of the schemas; those in a folder's own paraphrase_* are taken too."""
    if not Path(options.data).is_dir():
        if options.paraphrases:
            raise ConfigError("--paraphrases goes with a folder in SGD's format")
        return {}
    tasks = training_tasks(options.data, options.paraphrases)
    return {task.schema.name: task.variants for task in tasks}


def _measure(
    tracker: StateTracker,
    found: Sequence[Study],
    protocol: Protocol,
    groups: Sequence[str],
    journal: Journal[Row],
) -> None:
    keys = [key for study in found for key in planned(study, protocol.methods, groups)]
    done = {key_of(row) for row in journal.rows}
    tell_if_done([key for key in keys if key not in done])
    with tqdm(
        total=len(keys), initial=sum(key in done for key in keys), unit="row", disable=None
    ) as bar:
        for study in found:
            for row in measured(tracker, study, protocol, groups, done):
                journal.add([row])
                bar.set_postfix_str(f"{row['service']} {row['method']}, {row['condition']}")
                bar.update()


def _wanted(domains: Sequence[Study], options: argparse.Namespace) -> Tuple[int, int, int]:
    """How many domains are routed to, how many adapted, in how many inner steps."""
    return len(domains), len(domains[: options.order_adapted]), options.order_steps


def _sizes(order: Mapping[str, Any]) -> Tuple[int, int, int]:
    tracked, routed = order["tracking"], order["routing"]
    return routed["domains"], tracked["domains"], tracked["steps"]


def _order(
    tracker: StateTracker, domains: Sequence[Study], options: argparse.Namespace
) -> Dict[str, Any]:
    embed = CachedEmbed(SentenceEncoder.load().embed)
    adapted = domains[: options.order_adapted]
    total = len(adapted) * TRACKING_ORDERS + len(domains) * ROUTING_ORDERS
    with tqdm(total=total, desc="onboarding", unit="domain", disable=None) as bar:
        tracked = tracking(
            tracker, adapted, steps=options.order_steps, count=TRACKING_ORDERS, progress=bar.update
        )
        routed = routing(
            domains, embed, load_background(), count=ROUTING_ORDERS, progress=bar.update
        )
    return {"tracking": tracked, "routing": routed}


if __name__ == "__main__":
    main()
