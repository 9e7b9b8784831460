"""Which domains changed since they were adapted, asked again and again of a large store."""

from __future__ import annotations

import hashlib
from typing import Collection, Dict, Optional, Tuple

from rasa_onramp.onboarding.freshness import made_from
from rasa_onramp.onboarding.replies import ReplyLearner
from rasa_onramp.store import DomainSummary, Store
from rasa_onramp.tracker.model import StateTracker

__all__ = ["Watch"]

#: Who asks for a job that nobody asked for.
WATCH = "worker"


class Watch:
    """Queues a job for each domain that has no version of its support set, schema, feedback and
    these checkpoints, in whatever number of inner steps.

    Nothing is read anew while the store's revision stays as it was, and then of the domains that
    changed only. A domain whose job failed isn't queued again before it changes.
    """

    def __init__(
        self,
        store: Store,
        tracker: StateTracker,
        *,
        replies: Optional[ReplyLearner] = None,
        domains: Optional[Collection[str]] = None,
    ):
        self._store = store
        self._checkpoint = tracker.digest
        self._replies = replies.model.digest if replies is not None else None
        self._domains = domains
        self._settled: Dict[str, str] = {}  # domain → what it was like when there was nothing to do
        self._revision: Optional[int] = None

    def look(self) -> Tuple[str, ...]:
        """Queue what changed; the domains that were queued now. Raises StoreError,
        StoreUnavailable.
        """
        revision = self._store.revision()
        if revision == self._revision:
            return ()
        jobs = {job.domain: job for job in self._store.jobs.newest()}
        queued = []
        pending = False  # a domain may change while its job runs, so it is looked at again
        for summary in self._store.dialogues.summary():
            name = summary.name
            if self._domains is not None and name not in self._domains:
                continue
            digest = self._digest(summary)
            if self._settled.get(name) == digest:
                continue
            job = jobs.get(name)
            if job is not None and job.unfinished:
                pending = True
            elif self._made(summary) or (job is not None and job.failed_with(digest)):
                self._settled[name] = digest
            elif self._store.jobs.enqueue(name, asked_by=WATCH, input_digest=digest)[1]:
                queued.append(name)
        self._revision = None if pending or queued else revision
        return tuple(queued)

    def _made(self, summary: DomainSummary) -> bool:
        """Whether there is a version of what the domain is now."""
        base = self._replies if summary.n_support else None
        digest = summary.support_digest
        return bool(made_from(self._store, summary.name, digest, self._checkpoint, base))

    def _digest(self, summary: DomainSummary) -> str:
        """Of all that a version would be made from."""
        parts = (summary.support_digest, self._checkpoint, self._replies or "")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
