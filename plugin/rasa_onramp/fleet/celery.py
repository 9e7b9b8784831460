"""A Celery app of our own, for who has none that could take our tasks in."""

from __future__ import annotations

import os

from celery import Celery

from rasa_onramp.fleet import EXPIRES_SECONDS
from rasa_onramp.store import POLL_SECONDS

__all__ = ["app"]

app = Celery(
    "rasa_onramp",
    broker=os.environ.get("RASA_ONRAMP_BROKER_URL", "redis://localhost:6379/0"),
    include=["rasa_onramp.fleet.tasks"],
)
app.conf.update(
    accept_content=["json"],
    beat_schedule={
        "rasa-onramp": {
            "task": "rasa_onramp.watch",
            "schedule": POLL_SECONDS,
            "options": {"expires": EXPIRES_SECONDS},
        }
    },
    beat_scheduler="celery.beat:Scheduler",  # the usual one keeps a pickle in the current folder
    broker_connection_retry_on_startup=True,
    task_default_queue="rasa_onramp",
    task_ignore_result=True,  # the store has it
    task_serializer="json",
    worker_prefetch_multiplier=1,  # tasks take long, so a process holds none but its own
)
