"""Which domains changed since they were adapted, asked again and again of a large store."""

from __future__ import annotations

from contextlib import suppress
from typing import Collection, List, Optional, Set, Tuple

from rasa_onramp.errors import NotFound, StoreError, StoreUnavailable
from rasa_onramp.onboarding.freshness import input_digest, made_from
from rasa_onramp.onboarding.replies import ReplyLearner
from rasa_onramp.store import DomainSummary, Store, follows
from rasa_onramp.tracker.model import StateTracker

__all__ = ["Watch"]

#: Who asks for a job that nobody asked for.
WATCH = "worker"


class Watch:
    """Queues a job for each domain that has no version of its support set, schema, feedback and
    these checkpoints, in whatever number of inner steps.

    Every domain is read at the first look; after that those that changed, and those whose job ended
    since. A domain whose job failed, whoever asked for it, isn't queued again before it changes.
    Once it changes it is queued again, even if it changed back to what failed.
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
        self._pending: Set[str] = set()  # domains whose job isn't over
        self._revision: Optional[int] = None

    def look(self) -> Tuple[str, ...]:
        """Queue what changed; the domains that were queued now. Raises StoreError,
        StoreUnavailable.
        """
        revision = self._store.revision()
        names = self._names(revision)
        if names == []:
            self._revision = revision
            return ()
        jobs = {job.domain: job for job in self._store.jobs.newest(names)}
        # a domain may change while its job runs, so it is looked at when that is over
        pending = {name for name, job in jobs.items() if job.unfinished}
        if names is not None:
            names = [name for name in names if name not in pending]
        queued = []
        for summary in self._store.dialogues.summary(names):
            name = summary.name
            digest = input_digest(summary.support_digest, self._checkpoint, self._replies)
            if name in pending:
                continue
            job = jobs.get(name)
            with suppress(NotFound):  # deleted meanwhile
                if job is not None and job.failed_with(digest):
                    continue
                # after a job that has just ended, workers of two checkpoints would ask in turns
                righted = job is not None and job.failed and name not in self._pending
                if self._made(summary) and not righted:
                    continue
                asked = self._store.jobs.enqueue(name, asked_by=WATCH, input_digest=digest)
                pending.add(name)
                if asked[1]:
                    queued.append(name)
        self._pending, self._revision = pending, revision
        return tuple(queued)

    def _names(self, revision: int) -> Optional[List[str]]:
        """The domains to look at; None: all."""
        if self._revision is None or not follows(self._revision, revision):
            return None if self._domains is None else list(self._domains)
        names = set(self._pending)
        if revision != self._revision:
            names.update(self._store.dialogues.changed_since(self._revision))
        return sorted(names if self._domains is None else names.intersection(self._domains))

    def _made(self, summary: DomainSummary) -> bool:
        """Whether there is a version of what the domain is now."""
        base = self._replies if summary.n_support else None
        digest = summary.support_digest
        try:
            return bool(made_from(self._store, summary.name, digest, self._checkpoint, base))
        except (NotFound, StoreUnavailable):
            raise
        except StoreError:  # the job will say what can't be read; the other domains go on
            return False
