"""How well messages are routed, on the held-out dialogues of dialogue_data.

    python bench/routing.py [--folder dialogue_data] [--sgd ../shared/data/sgd/dev]
        [--metric RUN/metric …] [--json OUT]

All domains of the folder are onboarded with their support dialogues. Counted are: openings (a first
message, no domain active), follow-ups (a later message, its domain active), switches (a first
message while another domain is active), and messages that are none of any domain's: the ones
labelled out of scope, and, with --sgd, first messages of that folder's single-service dialogues.
Each --metric is a learned space to route by, beside embeddings as they are.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from learned_spaces import PLAIN, cards, load_metrics
from measuring import as_command
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.dialogue import Corpus
from rasa_onramp.embedding import Embed
from rasa_onramp.formats import read
from rasa_onramp.runtime.background import Background, load_background
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.router import Router
from rasa_onramp.tracker.sentences import cached_sentences
from result_tables.routing import OWN
from result_tables.table import printed

ROOT = Path(__file__).resolve().parent.parent

STRANGERS = 300


@dataclass(frozen=True)
class Messages:
    """First and later messages with their domains, those of none, and other services'."""

    openings: Tuple[Tuple[str, str], ...]
    later: Tuple[Tuple[str, str], ...]
    strangers: Tuple[str, ...]
    foreign: Tuple[str, ...]


def main() -> None:
    """Route and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "dialogue_data")
    parser.add_argument("--sgd", type=Path, default=None)
    parser.add_argument("--metric", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--wrong", action="store_true", help="print what was routed wrongly")
    options = parser.parse_args()
    metrics = load_metrics(options.metric, "domains")
    plain = load_background()
    spaces: Dict[str, Background] = {PLAIN: plain}
    spaces.update({name: plain.seen_by(metric) for name, metric in metrics.items()})
    corpora = [read(path) for path in sorted(options.folder.glob("*.yml"))]
    asked = messages(corpora, options.sgd)
    embed = cached_sentences()
    results = {
        "settings": {"metrics": cards(metrics)},
        "summary": [
            {"method": name, "kinds": figures(corpora, asked, embed, space, options.wrong)}
            for name, space in spaces.items()
        ],
    }
    print(printed(OWN, [results]))
    if options.json is not None:
        write_figures(str(options.json), results)


def messages(corpora: Sequence[Corpus], sgd: Optional[Path]) -> Messages:
    """What the held-out dialogues' users say, and so many first messages of `sgd`."""
    openings: List[Tuple[str, str]] = []
    later: List[Tuple[str, str]] = []
    strangers: List[str] = []
    for dialogue in (d for corpus in corpora for d in corpus.dialogues if d.split == "held-out"):
        for number, turn in enumerate(dialogue.turns):
            if turn.is_user and turn.state is None:
                strangers.append(turn.text)
            elif turn.is_user:
                (later if number else openings).append((dialogue.domain, turn.text))
    foreign: List[str] = []
    if sgd is not None:
        dialogues = read(sgd, "sgd").dialogues
        ids = Counter(d.id for d in dialogues)
        single = [d.turns[0].text for d in dialogues if ids[d.id] == 1]
        foreign = random.Random(0).sample(single, STRANGERS)
    return Messages(tuple(openings), tuple(later), tuple(strangers), tuple(foreign))


def figures(
    corpora: Sequence[Corpus],
    asked: Messages,
    embed: Embed,
    space: Background,
    show_wrong: bool = False,
) -> Dict[str, Dict[str, Any]]:
    """By kind of message: how many, and the share that goes right and to another domain."""
    router = Router(embed, space)
    indexes = {
        name: DomainIndex.build(
            schema, [d for d in corpus.dialogues if d.split == "support"], embed, space
        )
        for corpus in corpora
        for name, schema in corpus.schemas.items()
    }

    crowd = Crowd(indexes)

    def rate(rows: Sequence[Tuple[str, str, Optional[str]]]) -> Dict[str, Any]:
        right = wrong = 0
        for wanted, text, active in rows:
            found = router.route(text, crowd, active=active)
            right += found.domain == wanted
            wrong += found.domain not in (wanted, None)
            if show_wrong and found.domain != wanted:
                print(f"  {wanted}, active {active} → {found.domain} {found.score:.2f}: {text}")
        return {"messages": len(rows), "right": right / len(rows), "another": wrong / len(rows)}

    kinds: Dict[str, List[Tuple[str, str, Optional[str]]]] = {
        "openings": [(domain, text, None) for domain, text in asked.openings],
        "follow-ups": [(domain, text, domain) for domain, text in asked.later],
        "switches": [
            (d, text, other) for d, text in asked.openings for other in indexes if other != d
        ],
    }
    found = {kind: rate(rows) for kind, rows in kinds.items() if rows}
    for name, texts in (("out of scope", asked.strangers), ("other services", asked.foreign)):
        if texts:
            taken = [router.route(text, crowd).domain is not None for text in texts]
            found[name] = {"messages": len(taken), "right": 1 - sum(taken) / len(taken)}
    return found


if __name__ == "__main__":
    as_command(main)
