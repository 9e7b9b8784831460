"""The metrics channel in a real Sanic server, while real components take messages."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

import pytest

pytest.importorskip("rasa")
pytest.importorskip("prometheus_client")

import requests
from prometheus_client.parser import text_string_to_metric_families
from rasa.shared.core.events import ActionExecuted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

from channel_server import ChannelServer, runtime_on
from rasa_onramp import __version__
from rasa_onramp.components import host
from rasa_onramp.components.metrics import MetricsInput
from rasa_onramp.components.payload import system_turn_of
from rasa_onramp.components.response_generator import OnrampResponseGenerator
from rasa_onramp.components.state_tracker import OnrampStateTracker
from rasa_onramp.components.tokens import Token
from rasa_onramp.dialogue import Turn
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.rasa_names import KEY
from rasa_onramp.runtime import telemetry
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.store import Store, open_store
from small_bot import TABLES, corpus_of, small_tracker

TOKEN = "a-token-of-16-characters-or-more"
FRIDAY = "can i book a table on friday"


class World:
    """A running server, and a bot's components beside it."""

    def __init__(self, runtime: host.OnrampRuntime):
        self.runtime = runtime
        self.engine = runtime.engine()
        self._server = ChannelServer([MetricsInput(Token(TOKEN))])
        self.close = self._server.close
        self._tracker = OnrampStateTracker(None, None)  # type: ignore[arg-type]
        self._speaker = OnrampResponseGenerator()

    def say(self, text: str) -> str:
        """A message to the bot; its reason to take or leave it."""
        message = Message({TEXT: text})
        self._tracker.process([message], None, self.runtime)
        payload = message.get(KEY)
        if payload["domain"] is not None:
            heard = UserUttered(text, {"name": "onramp"}, parse_data={KEY: payload})
            events = [heard, ActionExecuted("utter_onramp")]
            tracker = DialogueStateTracker.from_events("ann", events)
            assert asyncio.run(self._speaker.generate("utter_onramp", tracker, "rest"))
        return payload["reason"]

    def reply(self, text: str) -> Dict[str, Any]:
        """What the bot utters after a message that `say` found to be ours."""
        message = Message({TEXT: text})
        self._tracker.process([message], None, self.runtime)
        heard = UserUttered(text, {"name": "onramp"}, parse_data={KEY: message.get(KEY)})
        tracker = DialogueStateTracker.from_events("ann", [heard, ActionExecuted("utter_onramp")])
        self._speaker.responses = {"utter_onramp": [{"text": "Sorry."}]}
        return asyncio.run(self._speaker.generate("utter_onramp", tracker, "rest")) or {}

    def get(self, token: Optional[str] = f"Bearer {TOKEN}") -> requests.Response:
        headers = {} if token is None else {"Authorization": token}
        url = f"{self._server.url}/webhooks/onramp/metrics"
        return requests.get(url, headers=headers, timeout=60)

    def told(self) -> Dict[Tuple[str, ...], float]:
        """The samples by name and values of labels, which are in the order of their names."""
        answer = self.get()
        assert answer.status_code == 200, answer.text
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path = tmp_path_factory.mktemp("metrics") / "onramp.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        tracker = dataclasses.replace(small_tracker(), digest="small")
        store.adapters.add(
            *(TABLES.name, adapter_to_bytes(dict(tracker.weights))),
            support_digest="any",
            checkpoint_digest="small",
            figures={},
        )
        with runtime_on(store, tracker, encoder="metrics") as runtime:
            made = World(runtime)
            yield made
            made.close()


@pytest.fixture(autouse=True)
def meters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_meters", telemetry._Meters())


def test_what_happens_is_told(world: World) -> None:
    assert [world.say(text) for text in (FRIDAY, FRIDAY, "/greet")] == ["match", "match", "command"]
    told = world.told()
    assert told["rasa_onramp_turns_total", "routed", TABLES.name, "match"] == 2
    assert told["rasa_onramp_turns_total", "abstained", "", "command"] == 1
    replies = {key[1:]: n for key, n in told.items() if key[0] == "rasa_onramp_replies_total"}
    assert sum(replies.values()) == 2
    assert {reason for reason, _ in replies} == {"no_model"}
    took = {s: told["rasa_onramp_turn_duration_seconds_sum", s] for s in telemetry._STAGES}
    assert 0 < took["routing"] + took["tracking"] < took["understanding"] < 60
    assert told["rasa_onramp_turn_duration_seconds_count", "understanding"] == 3
    assert told["rasa_onramp_turn_duration_seconds_count", "tracking"] == 2
    assert told["rasa_onramp_turn_duration_seconds_count", "reply"] == 2
    assert told["rasa_onramp_adapter_version", TABLES.name] == 1
    assert told["rasa_onramp_domains",] == told["rasa_onramp_ready",] == 1
    assert told["rasa_onramp_adapter_cache_domains",] == 1
    assert told["rasa_onramp_adapter_cache_bytes",] > 1000
    cache = [told["rasa_onramp_adapter_cache_requests_total", r] for r in ("miss", "hit")]
    assert cache == [1, 1]
    (build,) = [key for key in told if key[0] == "rasa_onramp_build_info"]
    assert build[1:] == ("small", "retrieved", __version__)


def test_after_a_reply_that_failed_it_is_still_the_domain_s_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(type(world.engine), "reply", fails)
    told = world.reply(FRIDAY)
    assert told["text"] == "Sorry." and told[KEY]["domain"] == TABLES.name
    assert world.told()["rasa_onramp_replies_total", "unavailable", "apology"] == 1
    assert system_turn_of(told["text"], told[KEY]) == (Turn("system", "Sorry."), TABLES.name)


def test_jobs_are_told_by_their_state(world: World) -> None:
    jobs = world.engine.store.jobs

    def told() -> Dict[str, float]:
        found = world.told()
        return {key[1]: n for key, n in found.items() if key[0] == "rasa_onramp_jobs" and n}

    assert told() == {}
    jobs.enqueue(TABLES.name, asked_by="test")
    assert told() == {"queued": 1}
    lease = jobs.claim("me", seconds=60)
    assert lease is not None and told() == {"running": 1}
    jobs.fail(lease, "no room")
    assert told() == {"failed": 1}
    jobs.enqueue(TABLES.name, asked_by="test")
    assert jobs.claim("me", seconds=0) is not None
    assert told() == {"lapsed": 1}
    jobs.cancel(TABLES.name)
    assert told() == {"cancelled": 1}


def test_a_store_that_is_away_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store("sqlite:////nowhere/onramp.db") as away:
        monkeypatch.setattr(world.engine.catalogue, "_reach", Reach(away))
        assert world.say(FRIDAY) == "unavailable"
        told = world.told()
    assert told["rasa_onramp_failures_total", "StoreUnavailable"] == 1
    assert ("rasa_onramp_jobs", "failed") not in told
    assert told["rasa_onramp_turns_total", "abstained", "", "unavailable"] == 1
    assert told["rasa_onramp_ready",] == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_a_store_that_freezes_or_is_slow_holds_no_scrape_up(
    world: World, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    thawed = threading.Event()
    store = world.engine.store
    monkeypatch.setattr(Store, "remote", True)  # as one on a server, which may say nothing
    monkeypatch.setattr(store.jobs, "newest", lambda: thawed.wait(60) and ())
    if frozen:
        monkeypatch.setattr(store, "revision", lambda: thawed.wait(60) and 1)
    # a slow store must answer the rest in time, on a busy machine too
    reach = Reach(store, 0.3 if frozen else 2.0, 1000.0)
    monkeypatch.setattr(world.engine, "reach", reach)
    monkeypatch.setattr(world.engine.catalogue, "_reach", reach)
    began = time.monotonic()
    told = world.told()
    assert time.monotonic() - began < 10
    assert ("rasa_onramp_jobs", "failed") not in told
    # the next doesn't ask one that is frozen; who is only slow still answers messages
    assert world.told()["rasa_onramp_ready",] == float(not frozen)
    thawed.set()


def test_before_the_engine_is_open_it_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_current", [])
    told = world.told()
    assert told["rasa_onramp_ready",] == 0
    assert ("rasa_onramp_domains",) not in told


def test_a_shared_folder_that_is_gone_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))
    answer = world.get()
    assert answer.status_code == 503
    assert answer.json()["error"].endswith("; see PROMETHEUS_MULTIPROC_DIR")


@pytest.mark.parametrize("token", [None, "", f"Bearer {TOKEN}x", f"Basic {TOKEN}"])
def test_without_the_token_nothing_is_told(world: World, token: Optional[str]) -> None:
    answer = world.get(token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {"error": "wrong or no token; send `Authorization: Bearer TOKEN`"}


def test_what_credentials_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    channel = MetricsInput.from_credentials({"token_env": "MY_TOKEN"})
    assert (channel.name(), channel.url_prefix()) == ("onramp_metrics", "onramp")
    with pytest.raises(InvalidConfigException, match="MetricsInput: give it token_env"):
        MetricsInput.from_credentials({"token": TOKEN})
    monkeypatch.setattr(telemetry, "_lacks", "nothing to count with; get it")
    with pytest.raises(InvalidConfigException, match="MetricsInput: nothing to count with; get it"):
        MetricsInput.from_credentials({"token_env": "MY_TOKEN"})
