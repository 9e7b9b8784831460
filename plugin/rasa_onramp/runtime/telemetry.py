"""What a running bot counts and times for Prometheus; docs/monitoring.md lists the metrics.

    watch = Stopwatch()
    …
    watch.lap("routing")

Without prometheus_client (the extra `monitoring`) nothing is kept, and no failure of it is one of
the bot's. Gauges stand in gauges.py: they are read off the engine when somebody asks.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any, Callable, Iterable, Iterator, Optional, Set, Tuple

from rasa_onramp.errors import OnrampError

try:
    from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector

    _installed = True
except ImportError:
    _installed = False

__all__ = [
    "MOST_DOMAINS",
    "Stopwatch",
    "count_failure",
    "count_read",
    "count_reply",
    "count_turn",
    "exposition",
    "lacking",
]

#: Domains that are told apart by a label of their own; the rest are counted together.
MOST_DOMAINS = 1000
_THE_REST = "(other)"  # no domain can be called so

#: What a turn's time is spent on. `understanding` holds `routing` and `tracking`.
_STAGES = ("understanding", "routing", "tracking", "reply")

#: Seconds: a routed turn takes tens of milliseconds, a written reply up to `reply_seconds`.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Set by who runs several processes that one scrape should sum up; prometheus_client reads it too.
_SHARED = "PROMETHEUS_MULTIPROC_DIR"


class _Meters:
    """The counters and histograms of this process."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        seconds = Histogram(
            "rasa_onramp_turn_duration_seconds",
            "Time spent on a message, by stage.",
            ["stage"],
            buckets=_BUCKETS,
            registry=own,
        )
        self.stages = {stage: seconds.labels(stage) for stage in _STAGES}
        self.turns = Counter(
            "rasa_onramp_turns",
            "Messages routed to a domain or left to the bot, and why.",
            ["decision", "reason", "domain"],
            registry=own,
        )
        self.replies = Counter(
            "rasa_onramp_replies",
            "Replies said, by what they come from, and why not from the language model.",
            ["source", "reason"],
            registry=own,
        )
        self.failures = Counter(
            "rasa_onramp_failures",
            "Times that something failed and the message was left to the bot, by kind of error.",
            ["kind"],
            registry=own,
        )
        self.reads = Counter(
            "rasa_onramp_adapter_cache_requests",
            "Domains wanted from memory; a miss reads the adapter from the store.",
            ["result"],
            registry=own,
        )
        self._domains: Set[str] = set()
        for result in ("hit", "miss"):  # a rate needs a zero to rise from
            self.reads.labels(result)
        self.failures.labels("StoreUnavailable")
        if _SHARED not in os.environ:  # a sum of several processes' has no meaning
            ProcessCollector(registry=own)

    def label_of(self, domain: str) -> str:
        if domain in self._domains or len(self._domains) < MOST_DOMAINS:
            self._domains.add(domain)
            return domain
        return _THE_REST


def _made() -> Tuple[Optional[_Meters], Optional[str]]:
    """The meters, or what they lack."""
    if not _installed:
        return None, "prometheus-client isn't installed; pip install 'rasa-onramp[monitoring]'"
    try:
        return _Meters(), None
    except OSError as error:
        why = f"{error.strerror}: {error.filename}"
        return None, f"{_SHARED}'s folder can't be used ({why}); make it, and let us write there"


_meters, _lacks = _made()

#: A folder of several processes' meters that is full or gone is no reason not to answer.
_unharmed = suppress(OSError, ValueError)


class Stopwatch:
    """Takes the time of one message's stages."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def lap(self, stage: str) -> float:
        """The seconds since the start or the last lap, noted as those of `stage`."""
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        if _meters is not None:
            with _unharmed:
                _meters.stages[stage].observe(seconds)
        return seconds


def lacking() -> Optional[str]:
    """What keeps metrics from being had, and the mend; None if nothing does."""
    return _lacks


def count_turn(domain: Optional[str], reason: str) -> None:
    """A message was routed to `domain`, or to none."""
    if _meters is not None:
        decision = "abstained" if domain is None else "routed"
        label = "" if domain is None else _meters.label_of(domain)
        with _unharmed:
            _meters.turns.labels(decision, reason, label).inc()


def count_reply(source: str, reason: str) -> None:
    """Something was said; `reason` says why the language model didn't write it."""
    if _meters is not None:
        with _unharmed:
            _meters.replies.labels(source, reason).inc()


def count_failure(error: BaseException) -> None:
    """Something failed. Errors that aren't ours are of one kind."""
    if _meters is not None:
        ours = isinstance(error, OnrampError)
        with _unharmed:
            _meters.failures.labels(type(error).__name__ if ours else "unexpected").inc()


def count_read(*, hit: bool) -> None:
    """A domain was wanted from memory, and was there or not."""
    if _meters is not None:
        with _unharmed:
            _meters.reads.labels("hit" if hit else "miss").inc()


def exposition(accept: str, gauges: Callable[[], Iterable[Any]]) -> Tuple[bytes, str]:
    """All metrics and `gauges`, as text of the kind that `accept` asks for, and its content type.

    With PROMETHEUS_MULTIPROC_DIR set, counters and histograms are those of all processes that
    share the folder; gauges are always this one's. Not where something is `lacking`.
    """
    assert _meters is not None
    meters = _meters.registry
    if _SHARED in os.environ:
        meters = CollectorRegistry()
        MultiProcessCollector(meters)
    encode, content_type = choose_encoder(accept)
    return encode(_Joined(meters, gauges)), content_type


class _Joined:
    """What an encoder asks a registry for."""

    def __init__(self, meters: Any, gauges: Callable[[], Iterable[Any]]):
        self._meters = meters
        self._gauges = gauges

    def collect(self) -> Iterator[Any]:
        yield from self._meters.collect()
        yield from self._gauges()
