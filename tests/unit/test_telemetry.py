"""What is counted and timed: without Rasa, with and without prometheus_client, in two processes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import timeit
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Tuple

import pytest

from command_line import SOURCE

pytest.importorskip("rasa")
pytest.importorskip("prometheus_client")

import structlog.testing
from prometheus_client.parser import text_string_to_metric_families
from rasa.utils.log_utils import configure_structlog

from rasa_onramp.components import host, turn_log
from rasa_onramp.errors import StoreUnavailable
from rasa_onramp.logs import KEY_VARIABLE, pseudonym
from rasa_onramp.runtime import telemetry
from rasa_onramp.runtime.settings import ModelSettings
from rasa_onramp.runtime.telemetry import Stopwatch, count_failure, count_read, exposition

PAYLOAD = {"domain": "parcels", "reason": "match", "confidence": 0.9, "adapter": 3}
WRITTEN = {"domain": "parcels", "source": "model"}

Samples = Dict[Tuple[str, Tuple[Tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def meters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters of the test's own, at zero."""
    monkeypatch.setattr(telemetry, "_meters", telemetry._Meters())


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told() -> Samples:
    body, kind = exposition("", lambda: ())
    assert kind.startswith("text/plain")
    return samples(body.decode("utf-8"))


def turns(found: Mapping, **labels: str) -> float:
    return found.get(("rasa_onramp_turns_total", tuple(sorted(labels.items()))), 0.0)


def test_a_turn_is_counted_and_timed() -> None:
    watch = Stopwatch()
    watch.lap("routing")
    turn_log.note_turn("ann", PAYLOAD, watch.lap("understanding"))
    turn_log.note_turn("ann", {"domain": None, "reason": "bot"}, 0.01)
    turn_log.note_reply("ann", WRITTEN, 0.5)
    turn_log.note_reply("ann", {"source": "d1#3", "because": "ungrounded"}, 0.5)
    turn_log.note_reply("ann", {"domain": "parcels"}, 0.1)
    turn_log.note_reply("ann", None, 0.1)
    turn_log.note_rephrasing("ann", False, 0.1)
    count_failure(StoreUnavailable("away"))
    count_failure(KeyError("x"))
    count_read(hit=True)
    found = told()
    assert turns(found, decision="routed", reason="match", domain="parcels") == 1
    assert turns(found, decision="abstained", reason="bot", domain="") == 1
    replies = {
        tuple(dict(labels).values()): value
        for (name, labels), value in found.items()
        if name == "rasa_onramp_replies_total"
    }
    assert replies == {
        ("", "written"): 1,
        ("ungrounded", "support"): 1,
        ("call_failed", "apology"): 1,
        ("unavailable", "apology"): 1,
        ("unchanged", "template"): 1,
    }
    for stage, count in {"routing": 1, "understanding": 1, "tracking": 0, "reply": 0}.items():
        labels = (("stage", stage),)
        assert found[("rasa_onramp_turn_duration_seconds_count", labels)] == count
    assert found[("rasa_onramp_failures_total", (("kind", "StoreUnavailable"),))] == 1
    assert found[("rasa_onramp_failures_total", (("kind", "unexpected"),))] == 1
    assert found[("rasa_onramp_adapter_cache_requests_total", (("result", "hit"),))] == 1
    assert found[("rasa_onramp_adapter_cache_requests_total", (("result", "miss"),))] == 0
    assert found[("process_resident_memory_bytes", ())] > 1e6


def test_openmetrics_for_who_asks_for_it() -> None:
    body, kind = exposition("application/openmetrics-text; version=1.0.0", lambda: ())
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_many_domains_make_no_more_series_than_the_bound() -> None:
    for number in range(telemetry.MOST_DOMAINS + 50):
        telemetry.count_turn(f"domain_{number}", "match")
    telemetry.count_turn("domain_0", "match")
    found = told()
    routed = [labels for name, labels in found if name == "rasa_onramp_turns_total"]
    assert len(routed) == telemetry.MOST_DOMAINS + 1
    assert turns(found, decision="routed", reason="match", domain="(other)") == 50
    assert turns(found, decision="routed", reason="match", domain="domain_0") == 2


def a_turn() -> None:
    watch = Stopwatch()
    watch.lap("routing")
    watch.lap("tracking")
    count_read(hit=True)
    turn_log.note_turn("ann", PAYLOAD, watch.lap("understanding"))
    turn_log.note_reply("ann", WRITTEN, watch.lap("reply"))


def test_it_costs_less_than_a_tenth_of_a_millisecond_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With log lines of this level not wanted; one that is costs what any of Rasa's does."""
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    logger = structlog.wrap_logger(
        logging.getLogger("turns"), wrapper_class=quiet, cache_logger_on_first_use=True
    )
    monkeypatch.setattr(turn_log, "logger", logger)
    a_turn()
    # the thread's own time: others may be at work here
    best = min(timeit.repeat(a_turn, timer=time.thread_time, number=200, repeat=10)) / 200
    assert best < 1e-4


@pytest.fixture
def lines() -> Iterator[list]:
    """The log's events."""
    with structlog.testing.capture_logs() as events:
        yield events


def test_a_turn_is_two_events_without_a_word_of_the_users(lines: list) -> None:
    payload = {
        **PAYLOAD,
        "state": {"values": {"code": ["s3cret"]}},
        "call": {"name": "find_parcel", "parameters": {"code": "s3cret"}},
    }
    turn_log.note_turn("+4912345", payload, 0.0123)
    turn_log.note_reply("+4912345", {**WRITTEN, "template": "s3cret"}, 0.4)
    turn_log.note_turn("+4912345", {"domain": None, "reason": "bot"}, 0.001)
    turn, reply, other = lines
    who = pseudonym("+4912345")
    assert turn == {
        "event": "onramp.turn",
        "log_level": "info",
        "conversation": who,
        "decision": "routed",
        "reason": "match",
        "domain": "parcels",
        "version": 3,
        "confidence": 0.9,
        "call": "find_parcel",
        "ms": 12.3,
    }
    assert reply == {
        "event": "onramp.reply",
        "log_level": "info",
        "conversation": who,
        "domain": "parcels",
        "source": "written",
        "reason": "",
        "ms": 400.0,
    }
    assert (other["log_level"], other["decision"]) == ("debug", "abstained")
    assert "s3cret" not in str(lines) and "12345" not in str(lines)


def test_an_unexpected_error_leaves_no_local_variables_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With structlog set up as Rasa sets it up, for one logger only."""
    settings: Dict[str, Any] = {}
    with monkeypatch.context() as patch:
        patch.setattr(structlog, "configure", lambda **given: settings.update(given))
        configure_structlog(logging.INFO)
    logger = structlog.wrap_logger(
        logging.getLogger("host"),
        processors=settings["processors"],
        wrapper_class=settings["wrapper_class"],
    )
    monkeypatch.setattr(host, "logger", logger)

    def fail(text: str) -> None:
        raise KeyError("a bug")

    runtime = host.OnrampRuntime(ModelSettings())
    try:
        fail("s3" + "cret")
    except KeyError as error:
        runtime.abstain("a message", error)
    (record,) = caplog.records
    told = json.loads(record.getMessage())
    assert (told["event"], told["kind"], told["level"]) == (
        *("onramp.abstaining", "KeyError", "error"),
    )
    assert told["event_info"] == "abstaining from a message: 'a bug'"
    assert told["traceback"].startswith("Traceback") and "in fail" in told["traceback"]
    assert "s3cret" not in caplog.text


def test_pseudonyms_agree_where_the_key_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    own = pseudonym("ann")
    assert own == pseudonym("ann") != pseudonym("bo")
    monkeypatch.setenv(KEY_VARIABLE, "one key")
    one = pseudonym("ann")
    monkeypatch.setenv(KEY_VARIABLE, "another key")
    assert len({own, one, pseudonym("ann")}) == 3
    script = "from rasa_onramp.logs import pseudonym; print(pseudonym('ann'))"
    assert run(script, **{KEY_VARIABLE: "one key"}).strip() == one


def test_without_prometheus_client_nothing_is_kept_and_nothing_fails() -> None:
    script = """
import sys
sys.modules["prometheus_client"] = None
from rasa_onramp.runtime import telemetry
assert "pip install 'rasa-onramp[monitoring]'" in telemetry.lacking()
assert telemetry.Stopwatch().lap("routing") >= 0
telemetry.count_turn("a", "match")
telemetry.count_reply("written", "")
telemetry.count_failure(ValueError())
telemetry.count_read(hit=False)
print("fine")
"""
    assert run(script) == "fine\n"


def test_a_shared_folder_that_is_not_there_or_goes_away_harms_nobody(tmp_path: Path) -> None:
    counting = """
import os, shutil
from rasa_onramp.runtime import telemetry
telemetry.count_turn("a", "match")
print(telemetry.lacking())
"""
    shared = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "none")}
    printed = run(counting, **shared)
    assert "PROMETHEUS_MULTIPROC_DIR's folder can't be used (No such file or directory:" in printed
    assert printed.endswith("; make it, and let us write there\n")
    (tmp_path / "none").mkdir()
    going = "shutil.rmtree(os.environ['PROMETHEUS_MULTIPROC_DIR'])\n"
    more = "telemetry.count_turn('b', 'none')\ntelemetry.Stopwatch().lap('reply')\nprint('fine')\n"
    assert run(counting + going + more, **shared) == "None\nfine\n"


def test_several_processes_are_summed_up(tmp_path: Path) -> None:
    counting = """
from rasa_onramp.runtime import telemetry
for _ in range(3):
    telemetry.count_turn("parcels", "match")
telemetry.Stopwatch().lap("tracking")
"""
    shared = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    run(counting, **shared)
    telling = (
        counting + "import sys\nsys.stdout.buffer.write(telemetry.exposition('', lambda: ())[0])"
    )
    found = samples(run(telling, **shared))
    assert turns(found, decision="routed", reason="match", domain="parcels") == 6
    stage = (("stage", "tracking"),)
    assert found[("rasa_onramp_turn_duration_seconds_count", stage)] == 2
    assert not any(name.startswith("process_") for name, _ in found)


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
