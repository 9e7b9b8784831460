"""What an engine and its store are like at this moment, for Prometheus."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any, Iterator, Optional

from rasa_onramp import __version__
from rasa_onramp.errors import StoreError
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.telemetry import MOST_DOMAINS

__all__ = ["engine_gauges", "job_gauges"]

#: A job is in one of these; "lapsed": running, but its owner no longer says that it lives.
_STATES = ("queued", "running", "lapsed", "done", "failed", "cancelled")


def engine_gauges(engine: Optional[Engine]) -> Iterator[Any]:
    """The gauges of `engine`; of None, where it couldn't be opened, that it isn't ready. The store
    isn't asked. Needs prometheus_client.
    """
    from prometheus_client.core import GaugeMetricFamily as Gauge

    ready = engine is not None and engine.catalogue.ready
    yield Gauge(
        "rasa_onramp_ready",
        "Whether all weights are loaded, the domains were read, and the store answered last.",
        value=float(ready),
    )
    if engine is None:
        return
    info = Gauge(
        "rasa_onramp_build_info",
        "Always 1; what runs here.",
        labels=["version", "checkpoint", "replies"],
    )
    replies = "written" if engine.writer is not None else "retrieved"
    info.add_metric([__version__, (engine.tracker.digest or "")[:12], replies], 1.0)
    yield info
    live = engine.catalogue.last
    yield Gauge("rasa_onramp_domains", "Domains that are live.", value=len(live))
    versions = Gauge(
        "rasa_onramp_adapter_version",
        "The adapter version that a domain runs on, 0 for none.",
        labels=["domain"],
    )
    for name in islice(sorted(live), MOST_DOMAINS):
        versions.add_metric([name], float(live[name].version or 0))
    yield versions
    yield Gauge(
        "rasa_onramp_adapter_cache_domains",
        "Domains whose weights are in memory.",
        value=len(engine.adapters.kept),
    )
    yield Gauge(
        "rasa_onramp_adapter_cache_bytes",
        "What these take, with their encoded schemas.",
        value=engine.adapters.kept.bytes,
    )


def job_gauges(engine: Engine) -> Iterator[Any]:
    """What became of each domain's newest job; none where the store doesn't answer in the time that
    messages give it. One query, and where that is late one more for the store's revision.

    Needs prometheus_client.
    """
    from prometheus_client.core import GaugeMetricFamily as Gauge

    try:
        newest = engine.reach.ask(lambda store: store.jobs.newest(), vital=False)
    except StoreError:  # which rasa_onramp_ready tells of
        return
    found = Counter(
        "lapsed" if job.lapsed else "cancelled" if job.cancelled else job.state for job in newest
    )
    jobs = Gauge("rasa_onramp_jobs", "Domains by the state of their newest job.", labels=["state"])
    for state in _STATES:
        jobs.add_metric([state], float(found[state]))
    yield jobs
