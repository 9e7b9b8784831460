"""Makes an SGD-format folder of synthetic dialogues out of the files in domains/; see README.md.

    python training_data/generate.py --out DIR --dialogues 150 --seed 0 [--domains NAME,…]

DIR/paraphrase_1 and DIR/paraphrase_2 hold the same schemas in other words, item for item.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from ruamel.yaml import YAML
from tqdm import tqdm

from domain_file import read_domain
from rasa_onramp.errors import ConfigError, OnrampError
from simulate import simulate
from spec import Domain

__all__ = ["DOMAINS", "main", "read_domains", "write"]

HERE = Path(__file__).resolve().parent
#: Where the domain files are.
DOMAINS = HERE / "domains"


def read_domains(names: Optional[Sequence[str]] = None, folder: Path = DOMAINS) -> List[Domain]:
    """The domains described in `folder`, or those named. Raises FormatError and ConfigError."""
    found = {domain.name: domain for domain in map(read_domain, sorted(folder.glob("*.yml")))}
    for name in names or ():
        if name not in found:
            raise ConfigError(f"no domain {name!r} in {folder}; name one of {', '.join(found)}")
    return [domain for name, domain in found.items() if not names or name in names]


def write(out: Path, domains: Sequence[Domain], dialogues: int, seed: int) -> Dict[str, int]:
    """Writes `dialogues` dialogues of each domain to `out`; returns how much that was.

    Raises ConfigError if `out` holds anything already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not an empty folder; choose another")
    words = YAML(typ="safe").load((HERE / "wordings.yml").read_text(encoding="utf-8"))
    for number in range(3):
        folder = out / f"paraphrase_{number}" if number else out
        folder.mkdir(parents=True, exist_ok=True)
        _dump(folder / "schema.json", [_schema(domain, number) for domain in domains])
    turns = 0
    for place, domain in enumerate(tqdm(domains, unit="domain", disable=None), start=1):
        made = []
        for number in range(dialogues):
            # Each dialogue has its own seed, so that more of them leave the first ones as they are.
            rng = random.Random(f"{seed} {domain.name} {number}")
            said = simulate(domain, words, rng)
            turns += len(said)
            name = f"{domain.name}_{number:04}"
            made.append({"dialogue_id": name, "services": [domain.name], "turns": said})
        _dump(out / f"dialogues_{place:03}.json", made)
    return {"domains": len(domains), "dialogues": dialogues * len(domains), "turns": turns}


def _dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _schema(domain: Domain, number: int) -> Dict[str, Any]:
    """A service of schema.json in its own words, or in its first or second other words."""
    slots = _renamed(domain.slots, number)
    intents = _renamed(domain.intents, number)

    def listed(slot: Any) -> Dict[str, Any]:
        return {
            "name": slots[slot.name],
            "description": slot.descriptions[number % len(slot.descriptions)],
            "is_categorical": bool(slot.listed),
            "possible_values": list(slot.listed),
        }

    def wanted(intent: Any) -> Dict[str, Any]:
        offer = intent.offer
        given = [*intent.results, *(offer.slots + offer.results if offer else ())]
        return {
            "name": intents[intent.name],
            "description": intent.descriptions[number % len(intent.descriptions)],
            "is_transactional": True,
            "required_slots": [slots[s] for s in intent.required],
            "optional_slots": {slots[s]: v for s, v in intent.optional.items()},
            "result_slots": [slots[s] for s in dict.fromkeys([*intent.slots, *given])],
        }

    return {
        "service_name": _other(domain, number),
        "description": domain.descriptions[number % len(domain.descriptions)],
        "slots": [listed(slot) for slot in domain.slots.values()],
        "intents": [wanted(intent) for intent in domain.intents.values()],
    }


def _other(item: Any, number: int) -> str:
    names = item.names
    return str(names[(number - 1) % len(names)] if number and names else item.name)


def _renamed(items: Any, number: int) -> Dict[str, str]:
    """What the items are called; an item whose other name is taken keeps its own."""
    names: Dict[str, str] = {}
    for name, item in items.items():
        other = _other(item, number)
        free = other not in names.values() and (other == name or other not in items)
        names[name] = other if free else name
    return names


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command. 2 where it can't go on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="an empty or new folder")
    parser.add_argument("--dialogues", type=int, default=150, help="how many a domain")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--domains", help="only these, by name, with commas between")
    options = parser.parse_args(arguments)
    try:
        names = options.domains.split(",") if options.domains else None
        made = write(options.out, read_domains(names), options.dialogues, options.seed)
    except OnrampError as error:
        print(error, file=sys.stderr)
        return 2
    print(", ".join(f"{count} {what}" for what, count in made.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
