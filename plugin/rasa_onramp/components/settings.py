"""What is wrong with settings in config.yml, as Rasa tells it."""

from __future__ import annotations

from typing import List

from rasa.shared.exceptions import InvalidConfigException

__all__ = ["refuse"]


def refuse(problems: List[str]) -> None:
    """Raise InvalidConfigException with all `problems`, if there are any."""
    if problems:
        raise InvalidConfigException("\n".join(problems))
