"""From a domain's support dialogues in the store to an adapter version that answers: by hand, or as
jobs that any number of processes share.
"""

from rasa_onramp.onboarding.freshness import made_already
from rasa_onramp.onboarding.jobs import Attempt, adapt_at_once, attempt, this_process, up_to_date
from rasa_onramp.onboarding.onboard import AdaptationReport, adapt
from rasa_onramp.onboarding.replies import AdaptedReplies, ReplyLearner
from rasa_onramp.onboarding.watch import Watch
from rasa_onramp.onboarding.worker import Worker

__all__ = [
    "AdaptationReport",
    "AdaptedReplies",
    "Attempt",
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
