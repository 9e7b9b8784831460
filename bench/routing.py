"""How well messages are routed, on the held-out dialogues of dialogue_data.

    python bench/routing.py [--folder dialogue_data] [--sgd ../shared/data/sgd/dev] [--json OUT]
        [--metric RUN/metric]

All domains of the folder are onboarded with their support dialogues. Counted are: openings (a first
message, no domain active), follow-ups (a later message, its domain active), switches (a first
message while another domain is active), and messages that are none of any domain's: the ones
labelled out of scope, and, with --sgd, first messages of that folder's single-service dialogues.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from rasa_onramp.formats import read
from rasa_onramp.metalearning.metric.checkpoint import load_metric
from rasa_onramp.runtime.background import load_background
from rasa_onramp.runtime.domain_index import DomainIndex
from rasa_onramp.runtime.embedding import CachedEmbed
from rasa_onramp.runtime.router import Router
from rasa_onramp.tracker.encoder import SentenceEncoder

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Route and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "dialogue_data")
    parser.add_argument("--sgd", type=Path, default=None)
    parser.add_argument("--metric", type=Path, default=None, help="a learned one to route by")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--wrong", action="store_true", help="print what was routed wrongly")
    options = parser.parse_args()
    embed, background = CachedEmbed(SentenceEncoder.load().embed), load_background()
    if options.metric is not None:
        background = background.seen_by(load_metric(options.metric, "domains"))
    router = Router(embed, background)
    indexes: Dict[str, DomainIndex] = {}
    openings: List[Tuple[str, str]] = []
    later: List[Tuple[str, str]] = []
    strangers: List[str] = []
    for path in sorted(options.folder.glob("*.yml")):
        corpus = read(path)
        for name, schema in corpus.schemas.items():
            support = [d for d in corpus.dialogues if d.split == "support"]
            indexes[name] = DomainIndex.build(schema, support, embed, background)
        for dialogue in corpus.dialogues:
            if dialogue.split != "held-out":
                continue
            for number, turn in enumerate(dialogue.turns):
                if turn.is_user and turn.state is None:
                    strangers.append(turn.text)
                elif turn.is_user:
                    (later if number else openings).append((dialogue.domain, turn.text))
    foreign: List[str] = []
    if options.sgd is not None:
        dialogues = read(options.sgd, "sgd").dialogues
        ids = Counter(d.id for d in dialogues)
        single = [d.turns[0].text for d in dialogues if ids[d.id] == 1]
        foreign = random.Random(0).sample(single, 300)

    def rate(rows: List[Tuple[str, str, Optional[str]]]) -> Dict[str, float]:
        right = wrong = 0
        for wanted, text, active in rows:
            found = router.route(text, indexes, active=active)
            right += found.domain == wanted
            wrong += found.domain not in (wanted, None)
            if options.wrong and found.domain != wanted:
                print(f"  {wanted}, active {active} → {found.domain} {found.score:.2f}: {text}")
        return {"messages": len(rows), "right": right / len(rows), "another": wrong / len(rows)}

    figures: Dict[str, Dict[str, float]] = {
        "openings": rate([(domain, text, None) for domain, text in openings]),
        "follow-ups": rate([(domain, text, domain) for domain, text in later]),
        "switches": rate(
            [(d, text, other) for d, text in openings for other in indexes if other != d]
        ),
    }
    for name, texts in (("out of scope", strangers), ("other services", foreign)):
        if texts:
            taken = [router.route(text, indexes).domain is not None for text in texts]
            figures[name] = {"messages": len(taken), "right": 1 - sum(taken) / len(taken)}
    print(f"{'':16}{'messages':>9}{'right':>8}{'another domain':>16}")
    for name, row in figures.items():
        another = f"{row['another']:.3f}" if "another" in row else ""
        print(f"{name:16}{row['messages']:>9}{row['right']:>8.3f}{another:>16}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
