"""From a domain's support dialogues in the store to an adapter version that answers."""

from .freshness import made_already
from .onboard import AdaptationReport, adapt
from .replies import ReplyAdaptation, ReplyLearner

__all__ = ["AdaptationReport", "ReplyAdaptation", "ReplyLearner", "adapt", "made_already"]
