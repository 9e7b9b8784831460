"""From a domain's support dialogues in the store to an adapter version that answers: by hand, or as
jobs that any number of processes share.
"""

from .freshness import made_already
from .jobs import Attempt, adapt_at_once, attempt, this_process, up_to_date
from .onboard import AdaptationReport, adapt
from .replies import ReplyAdaptation, ReplyLearner
from .watch import Watch
from .worker import Worker

__all__ = [
    "AdaptationReport",
    "Attempt",
    "ReplyAdaptation",
    "ReplyLearner",
    "Watch",
    "Worker",
    "adapt",
    "adapt_at_once",
    "attempt",
    "made_already",
    "this_process",
    "up_to_date",
]
