"""From a domain's support dialogues in the store to an adapter version that answers."""

from .onboard import AdaptationReport, adapt
from .replies import ReplyAdaptation, ReplyLearner

__all__ = ["AdaptationReport", "ReplyAdaptation", "ReplyLearner", "adapt"]
