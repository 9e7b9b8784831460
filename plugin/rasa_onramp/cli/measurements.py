"""What `rasa-onramp evaluate` measures on, whether states or replies."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits

__all__ = ["services_and_splits", "settings_of"]


def services_and_splits(
    corpus: Corpus, services: str, protocol: Protocol, training_services: Sequence[str]
) -> Tuple[List[str], List[Split]]:
    """The services that `services` names (see `choose_services`), and their splits.

    Raises ConfigError where there is none.
    """
    chosen = choose_services(corpus, services, training_services)
    work = list(splits(corpus, chosen, protocol))
    if not work:
        raise ConfigError(
            f"no service has {max(protocol.shots)} support dialogues and others held out; lower "
            "--shots or use --dialogues all"
        )
    return chosen, work


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
