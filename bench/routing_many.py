"""Routing and out-of-scope detection against the number of onboarded domains.

    python bench/routing_many.py --sgd ../shared/data/sgd/dev [--metric RUN/metric …] [--json OUT]

The pool is what nothing was trained on: all of training_data/dev and dialogue_data, the services of
--sgd that SGD's training part lacks, and, where --metric is given, domains of
training_data/dialogues that none was trained on (meta-train --spare; of the others, some fitted the
router's own constants). A seed draws as many of them as are onboarded, five support dialogues of
each, and up to six others a domain, of which the first messages are routed, no domain active; those
of domains that are not onboarded are out of scope.

Beside the router stands what one would train instead: a linear probe, scikit-learn's
LogisticRegression (defaults, but 1,000 iterations) on the same embeddings of the support dialogues'
first messages, a domain being a class. It has none for what is out of scope, and so takes all.

right: the message goes to its domain. best: its domain has the highest score, whether that is high
enough or not. taken: what is out of scope goes to a domain. auroc: of the highest score, telling
domains' messages from those out of scope. Means over seeds, with 95% intervals by bootstrap over
seeds; the draws of many domains overlap, so theirs are rather too narrow.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Dict, List, Optional, Sequence, Tuple

from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from learned_spaces import PLAIN, cards, load_metrics
from measuring import as_command
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.embedding import Embed
from rasa_onramp.evaluation.bootstrap import paired_difference
from rasa_onramp.formats import read
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.metric.kinds import opening
from rasa_onramp.runtime.background import Background, load_background
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.router import Router
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.sentences import cached_sentences
from result_tables.routing import MANY
from result_tables.table import printed

ROOT = Path(__file__).resolve().parent.parent
SHOTS, ASKED = 5, 6

#: What the linear probe is called.
PROBE = "linear probe of embeddings"

#: Of a run; see above. ms is the time a message takes to route, its embedding left out.
FIGURES = ("right", "best", "taken", "auroc", "ms")


@dataclass(frozen=True)
class Service:
    """A domain that can be onboarded: where it is from, its schema and its dialogues."""

    source: str
    schema: Schema
    dialogues: Tuple[Dialogue, ...]


@dataclass(frozen=True)
class Message:
    """A routed message: the domain that it was for (None: out of scope), the one that it went to,
    the one with the best score, and that score.
    """

    wanted: Optional[str]
    found: Optional[str]
    best: str
    score: float


def main() -> None:
    """Draw, route, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metric", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--sgd", type=Path, default=None)
    parser.add_argument("--domains", default="5,10,20,50")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    metrics = load_metrics(options.metric, "domains")
    trained = {name for metric in metrics.values() for name in metric.training_services}
    pool = services(options.sgd, trained)
    plain = load_background()
    ways: Dict[str, Background] = {PLAIN: plain}
    ways.update({name: plain.seen_by(metric) for name, metric in metrics.items()})
    counts = [int(count) for count in options.domains.split(",")]
    embed = cached_sentences()
    rows: List[Dict[str, Any]] = []
    with tqdm(total=len(counts) * options.seeds * (len(ways) + 1), unit="run") as bar:
        for count in counts:
            runs: Dict[str, List[Dict[str, float]]] = {name: [] for name in (*ways, PROBE)}
            for seed in range(options.seeds):
                drawn = Draw.of(pool, count, random.Random(f"{count} {seed}"))
                for name, background in ways.items():
                    runs[name].append(figures(*route(drawn, embed, background)))
                    bar.update()
                runs[PROBE].append(figures(*probed(drawn, embed)))
                bar.update()
            for name in runs:
                row = {"method": name, "domains": count, "runs": runs[name]}
                row.update({key: interval(runs[name], key) for key in FIGURES})
                if name != PLAIN:
                    row["minus plain"] = {
                        key: interval(runs[name], key, runs[PLAIN]) for key in FIGURES
                    }
                rows.append(row)
    found = {
        "settings": {
            "seeds": options.seeds,
            "shots": SHOTS,
            "pool": {s: [p.schema.name for p in pool if p.source == s] for s in sources(pool)},
            "metrics": cards(metrics),
        },
        "summary": rows,
    }
    print(printed(MANY, [found]))
    if options.json is not None:
        write_figures(str(options.json), found)


def services(sgd: Optional[Path], trained: Collection[str]) -> List[Service]:
    """The pool; `trained` are the services that metrics were trained on."""
    folders = ["training_data/dev", "dialogue_data"]
    if trained:
        folders.insert(0, "training_data/dialogues")
    paths = [(folder, path) for folder in folders for path in sorted((ROOT / folder).glob("*.yml"))]
    pool = []
    for source, path in tqdm(paths, desc="read", unit="file"):
        if path.stem not in trained:
            pool += [Service(source, t.schema, t.alone) for t in tasks_of(read(path))]
    if sgd is not None:
        known = {*trained, *load_tracker().training_services}
        found = [task for task in tasks_of(read(sgd, "sgd")) if task.schema.name not in known]
        pool += [Service("SGD", task.schema, task.alone) for task in found]
    return [service for service in pool if len(service.dialogues) > SHOTS]


def sources(pool: Sequence[Service]) -> List[str]:
    """Where the pool's services are from."""
    return list(dict.fromkeys(service.source for service in pool))


@dataclass(frozen=True)
class Draw:
    """The services onboarded with their support, and the first messages of other dialogues, each
    with the name of its service, or None where that isn't onboarded.
    """

    support: Tuple[Tuple[Schema, Tuple[Dialogue, ...]], ...]
    asked: Tuple[Tuple[Optional[str], str], ...]

    @classmethod
    def of(cls, pool: Sequence[Service], count: int, rng: random.Random) -> Draw:
        """`count` services of the pool onboarded. Exits if that leaves none to be out of scope."""
        if count >= len(pool):
            raise SystemExit(f"--domains: {count}, but the pool has only {len(pool)} services")
        support, asked = [], []
        for number, service in enumerate(rng.sample(list(pool), len(pool))):
            dialogues = rng.sample(service.dialogues, min(SHOTS + ASKED, len(service.dialogues)))
            name = service.schema.name if number < count else None
            if name is not None:
                support.append((service.schema, tuple(dialogues[:SHOTS])))
            asked += [(name, text) for d in dialogues[SHOTS:] for text in opening(d)]
        return cls(tuple(support), tuple(asked))


def route(draw: Draw, embed: Embed, background: Background) -> Tuple[List[Message], float]:
    """Every message of a draw routed, and the seconds that one took, its embedding left out."""
    indexes = {
        s.name: DomainIndex.build(s, support, embed, background) for s, support in draw.support
    }
    router, crowd = Router(embed, background), Crowd(indexes)
    embed([text for _, text in draw.asked])
    messages = []
    began = time.perf_counter()
    for wanted, text in draw.asked:
        found = router.route(text, crowd)
        best = max(found.scores, key=lambda name: found.scores[name])
        messages.append(Message(wanted, found.domain, best, found.scores[best]))
    return messages, (time.perf_counter() - began) / len(messages)


def probed(draw: Draw, embed: Embed) -> Tuple[List[Message], float]:
    """As `route`, by the linear probe."""
    opened = [(s.name, text) for s, support in draw.support for d in support for text in opening(d)]
    model = LogisticRegression(max_iter=1000)
    model.fit(embed([text for _, text in opened]).numpy(), [name for name, _ in opened])
    rows = embed([text for _, text in draw.asked]).numpy()
    began = time.perf_counter()
    scores = model.predict_proba(rows)
    taken = (time.perf_counter() - began) / len(rows)
    names = [str(model.classes_[best]) for best in scores.argmax(1)]
    found = zip(draw.asked, names, scores.max(1))
    return [Message(wanted, name, name, float(score)) for (wanted, _), name, score in found], taken


def figures(messages: Sequence[Message], seconds: float) -> Dict[str, float]:
    """FIGURES of a run."""
    own = [m for m in messages if m.wanted is not None]
    strangers = [m for m in messages if m.wanted is None]
    return {
        "right": sum(m.found == m.wanted for m in own) / len(own),
        "best": sum(m.best == m.wanted for m in own) / len(own),
        "taken": sum(m.found is not None for m in strangers) / len(strangers),
        "auroc": roc_auc_score(
            [m.wanted is not None for m in messages], [m.score for m in messages]
        ),
        "ms": 1000 * seconds,
    }


def interval(
    runs: Sequence[Dict[str, float]], key: str, minus: Optional[Sequence[Dict[str, float]]] = None
) -> Tuple[float, float, float]:
    """The mean of a figure over the runs, or of its difference to other runs', and the interval."""
    first = {("draws", n): run[key] for n, run in enumerate(runs)}
    second = {("draws", n): minus[n][key] if minus is not None else 0.0 for n in range(len(runs))}
    found = paired_difference(first, second, statistics.fmean, resamples=2000)
    return found.value, found.low, found.high


if __name__ == "__main__":
    as_command(main)
