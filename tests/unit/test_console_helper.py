"""Commands that the console runs beside the bot, as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from command_line import environment
from rasa_onramp.console.helper import Helper, Surroundings
from rasa_onramp.errors import StoreUnavailable
from rasa_onramp.store import open_store
from servers import wait_for


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[Helper]:
    url = f"sqlite:///{tmp_path / 'onramp.db'}"
    with open_store(url) as store:
        store.upgrade()
    found = Surroundings(environment(RASA_ONRAMP_DATABASE_URL=url), {"remove": ["--yes"]})
    made = Helper(lambda: found)
    yield made
    made.close()


def test_what_is_asked_for_is_done_in_order_and_failures_are_kept(helper: Helper) -> None:
    helper.ask("removing", "remove", "nowhere")
    helper.ask("listing", "domains")
    assert helper.busy("removing")
    assert helper.busy("listing")
    wait_for(lambda: not helper.busy("listing"))
    assert not helper.busy("removing")
    failure = helper.failure("removing")
    assert failure is not None
    assert failure.startswith("rasa-onramp: the store has no domain 'nowhere'")
    assert helper.failure("listing") is None
    helper.ask("removing", "domains")  # what is asked for anew is well until it fails
    assert helper.failure("removing") is None


def test_the_same_is_not_done_twice(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    began = []
    real = subprocess.Popen

    def popen(command, **more):
        began.append(command[3])
        return real(command, **more)

    monkeypatch.setattr(subprocess, "Popen", popen)
    for _ in range(5):
        helper.ask("listing", "domains")
    helper.ask("chatting", "chat")
    wait_for(lambda: not helper.busy("chatting"))
    # once more, as the one that ran may have looked too early
    assert began == ["domains", "domains", "chat"]
    assert helper.failure("chatting") == (
        "rasa-onramp: the store has no domains; import some: rasa-onramp import FILE"
    )


def test_nothing_is_run_with_code_that_is_not_the_bots(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.console.helper.code_digest", lambda: "upgraded")
    helper.ask("listing", "domains")
    wait_for(lambda: not helper.busy("listing"))
    assert "restart the bot first" in str(helper.failure("listing"))


def test_what_is_not_needed_any_more_is_not_done(helper: Helper) -> None:
    asked = []

    def away() -> bool:
        raise StoreUnavailable("the store is away; wait")

    helper.ask("failing", "remove", "nowhere", wait=0.1, needed=lambda: bool(asked.append(1)))
    helper.ask("asking", "remove", "nowhere", needed=away)
    wait_for(lambda: not helper.busy("asking"))
    assert (asked, helper.failure("failing")) == ([1], None)
    assert helper.failure("asking") == "the store is away; wait"


def test_an_error_that_nobody_thought_of_stops_nothing_else(
    helper: Helper, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> bool:
        raise RuntimeError("s3cret")

    helper.ask("asking", "domains", needed=broken)
    helper.ask("listing", "domains")
    wait_for(lambda: not helper.busy("listing"))
    assert (helper.failure("asking"), helper.failure("listing")) == ("RuntimeError", None)
    assert "asking failed: RuntimeError" in caplog.text


def test_closing_ends_what_runs(helper: Helper) -> None:
    helper.ask("waiting", "worker", "--poll", "60")
    wait_for(lambda: helper._process is not None)
    process = helper._process
    assert process is not None
    helper.ask("later", "domains")
    helper.close()
    assert process.wait(60) in (0, -signal.SIGTERM)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    helper.ask("after", "domains")
    assert not helper.busy("after")
    assert helper.failure("waiting") is None
