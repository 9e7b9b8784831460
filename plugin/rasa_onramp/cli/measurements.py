"""What `rasa-onramp evaluate` measures on, whether states or replies."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import click

from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.store.digest import (
    bytes_digest,
    canonical_json,
    dialogue_digest,
    schema_digest,
)

__all__ = ["digest_of", "services_and_splits", "settings_of"]


def services_and_splits(
    corpus: Corpus, services: str, protocol: Protocol, training_services: Sequence[str]
) -> Tuple[List[str], List[Split]]:
    """The services that `services` means (see `choose_services`) and that have dialogues enough,
    and their splits. Those that have too few are told on stderr.

    Raises ConfigError where there is none, or too few of one that is named.
    """
    chosen = choose_services(corpus, services, training_services)
    work = list(splits(corpus, chosen, protocol))
    measured = list(dict.fromkeys(split.schema.name for split in work))
    lacks = [name for name in chosen if name not in measured]
    few = f"{max(protocol.shots)} support dialogues and others held out"
    mend = "lower --shots or use --dialogues all"
    if not work:
        raise ConfigError(f"no service has {few}; {mend}")
    if lacks and services not in ("all", "unseen"):
        raise ConfigError(f"{', '.join(lacks)} hasn't {few}; {mend}, or leave it out")
    if lacks:
        click.echo(f"left out, as they haven't {few}: {', '.join(lacks)}", err=True)
    return measured, work


def settings_of(
    data: Sequence[str], services: Sequence[str], protocol: Protocol
) -> Dict[str, object]:
    """The settings that results and their journal begin with."""
    return {
        "data": list(data),
        "services": list(services),
        "shots": list(protocol.shots),
        "seeds": protocol.seeds,
        "methods": list(protocol.methods),
        "dialogues": protocol.dialogues,
        "own_split": protocol.own_split,
        "limit": protocol.limit,
    }


def digest_of(work: Sequence[Split]) -> str:
    """The digest of all that is measured on: schemas, support and held-out dialogues in order."""
    dialogues = {id(each): each for one in work for each in (*one.pool, *one.held_out)}
    digests = {key: dialogue_digest(dialogue) for key, dialogue in dialogues.items()}
    parts = [
        [
            schema_digest(one.schema),
            [digests[id(each)] for each in one.pool],
            [digests[id(each)] for each in one.held_out],
        ]
        for one in work
    ]
    return bytes_digest(canonical_json(parts).encode("ascii"))
