"""Real Celery workers on a real Redis server, that share a store in PostgreSQL."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any, List

import pytest

pytest.register_assert_rewrite("worker_processes")

from rasa_onramp.store import open_store  # noqa: E402
from servers import wait_for  # noqa: E402
from worker_processes import assert_adapted_once, domains, running, tiny_checkpoint  # noqa: E402

pytestmark = pytest.mark.timeout(900)  # several waits each
pytest.importorskip("celery", reason="no Celery: it comes with the extra fleet")


def _celery(name: str, *more: str) -> List[Any]:
    app = (sys.executable, "-m", "celery", "--app", "rasa_onramp.fleet")
    return [*app, "worker", "--hostname", f"{name}@%h", "--loglevel", "INFO", *more]


def test_two_celery_workers_adapt_each_domain_once(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    settings = {
        "RASA_ONRAMP_BROKER_URL": redis_url,
        "RASA_ONRAMP_CHECKPOINT": str(tiny_checkpoint(tmp_path / "tracker")),
        "RASA_ONRAMP_REPLY_CHECKPOINT": "none",
        "RASA_ONRAMP_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    given = domains(12)
    names = list(given.schemas)
    with open_store(postgres_url) as store:
        store.upgrade()
        one, two = _celery("one", "--concurrency", "1", "--beat"), _celery("two", "--pool", "solo")
        with running(postgres_url, logs, *one, **settings) as first, running(
            postgres_url, logs, *two, **settings
        ) as second:
            workers = (first, second)
            wait_for(lambda: all("ready." in worker.said() for worker in workers))
            store.dialogues.import_corpus(given)
            wait_for(lambda: sum(job.state == "done" for job in store.jobs.newest()) == len(names))
            owners = {job.owner for job in store.jobs.newest()}
            for worker in workers:
                worker.signal(signal.SIGTERM)
            assert [worker.end() for worker in workers] == [0, 0]
        assert_adapted_once(store, names)
        assert len(owners) == 2
        for worker in workers:
            assert "rasa_onramp.adapt" in worker.said()
            assert "Traceback" not in worker.said()
