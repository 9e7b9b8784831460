"""--resume: an evaluation that goes on must be of the same data."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, List, Mapping, Optional, Tuple

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import SplitName

__all__ = ["check_same_data"]


def check_same_data(
    journal: Optional[Path],
    held_out: Mapping[SplitName, List[str]],
    measured: Iterable[Tuple[SplitName, List[str]]],
) -> None:
    """See that what was `measured` before, by split and dialogues, is what would be measured now.
    Raises ConfigError.
    """
    for (service, seed), dialogues in measured:
        if held_out.get((service, seed)) != dialogues:
            raise ConfigError(
                f"{journal} is of other data: {service} has other dialogues held out under seed "
                f"{seed}; go on with the same data, or delete it"
            )
