"""The tasks: one looks what changed and is run again and again, the other adapts a domain.

Which domain is adapted, by whom, and what came of it is the store's: messages only say that there
is something to do. One that is lost is sent again at the next look; one that comes twice finds
nothing to claim. So whatever the broker does, a domain is never adapted twice at once.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Dict, List, Optional

import torch
from celery import shared_task

from rasa_onramp.errors import ConfigError, LeaseError, StoreUnavailable
from rasa_onramp.fleet import EXPIRES_SECONDS
from rasa_onramp.onboarding import ReplyLearner, Watch, attempt, this_process
from rasa_onramp.store import Lease, Store, open_store
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker

__all__ = ["adapt", "watch"]

logger = logging.getLogger(__name__)

#: Seconds between two tries whether the store is back.
_PAUSE = 1.0


@dataclass(frozen=True)
class _Tools:
    """What a process works with."""

    store: Store
    tracker: StateTracker
    replies: Optional[ReplyLearner]
    watch: Watch
    keep: Optional[int] = None


@shared_task(name="rasa_onramp.watch")
def watch() -> List[str]:
    """Queue what changed, and wake a worker for each job that is due; the domains of these."""
    tools = _tools()
    tools.watch.look()
    due = list(tools.store.jobs.due())
    for domain in due:
        adapt.apply_async((domain,), expires=EXPIRES_SECONDS)
    return due


@shared_task(name="rasa_onramp.adapt")
def adapt(domain: str) -> Optional[Dict[str, Any]]:
    """Do the job of `domain`, and what came of it; None where there is none that is due."""
    tools = _tools()
    lease = tools.store.jobs.claim(this_process(), domains=[domain])
    if lease is None:
        return None
    try:
        done = attempt(tools.store, lease, tools.tracker, replies=tools.replies, keep=tools.keep)
        return done.as_dict()
    except StoreUnavailable as error:
        _give_back(tools.store, lease)
        job = lease.job
        return {"domain": domain, "job": job.number, "state": "given back", "said": str(error)}


def _give_back(store: Store, lease: Lease) -> None:
    """An outage is no attempt: wait for the store to say so, as long as the lease lasts. Raises
    StoreUnavailable if it isn't back by then: others take the job over.
    """
    until = time.monotonic() + lease.seconds
    while True:
        try:
            with suppress(LeaseError):  # who took it over meanwhile, may have it
                store.jobs.release(lease)
            return
        except StoreUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


@lru_cache(maxsize=1)
def _tools() -> _Tools:
    """Loaded at a process's first task: what Celery forks from must not have used torch."""
    threads, keep = _whole_number("RASA_ONRAMP_THREADS"), _whole_number("RASA_ONRAMP_KEEP")
    if threads is not None:
        torch.set_num_threads(threads)
    device = os.environ.get("RASA_ONRAMP_DEVICE")
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    store = open_store()
    tracker = load_tracker(os.environ.get("RASA_ONRAMP_CHECKPOINT"), device=device)
    replies = _learner(device)
    return _Tools(store, tracker, replies, Watch(store, tracker, replies=replies), keep)


def _whole_number(variable: str) -> Optional[int]:
    """What an environment variable says, 1 or more; None where it isn't set. Raises ConfigError."""
    said = os.environ.get(variable)
    if said is None:
        return None
    if not said.isdecimal() or not int(said):
        raise ConfigError(f"{variable} is {said!r}; set it to a whole number")
    return int(said)


def _learner(device: str) -> Optional[ReplyLearner]:
    folder = os.environ.get("RASA_ONRAMP_REPLY_CHECKPOINT")
    if folder == "none":
        return None
    return ReplyLearner.load(logger.warning, folder, device)
