"""From a domain's support dialogues in the store to an adapter version that answers."""

from .onboard import AdaptationReport, adapt

__all__ = ["AdaptationReport", "adapt"]
