"""The jobs of `rasa-onramp worker` on Celery, for who has that running already: docs/jobs.md.

    celery -A rasa_onramp.fleet worker --beat --concurrency 2

Needs the extra `fleet`; nothing else of the package imports it.
"""

from __future__ import annotations

__all__ = ["EXPIRES_SECONDS"]

#: How long a message is good, so that they don't pile up while all are busy: those that are still
#: needed are sent again. By the clocks of sender and receiver, which may differ by less than this.
EXPIRES_SECONDS = 60.0
