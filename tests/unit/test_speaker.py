"""A bot whose endpoints file names no response generator of ours says so in its log."""

from __future__ import annotations

import logging
from typing import List

import pytest

pytest.importorskip("rasa")

from rasa.shared.core.events import ActionExecuted, BotUttered, Event

from rasa_onramp.components import OnrampResponseGenerator, speaker
from rasa_onramp.components.speaker import tell_if_unspoken
from rasa_onramp.logs import Seldom
from rasa_onramp.rasa_names import KEY, REPLY

APOLOGY = [ActionExecuted(REPLY), BotUttered("Sorry.", metadata={"utter_action": REPLY})]


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(speaker, "_made", False)
    monkeypatch.setattr(speaker, "_saying", Seldom())
    caplog.set_level(logging.ERROR)


def test_a_reply_of_another_s_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    tell_if_unspoken(APOLOGY)
    tell_if_unspoken(APOLOGY)
    assert caplog.text.count("names no OnrampResponseGenerator") == 1


@pytest.mark.parametrize(
    "done",
    [
        [],
        [ActionExecuted(REPLY)],  # as `rasa test` replays a story
        [ActionExecuted(REPLY), BotUttered("It is here.", metadata={KEY: {"domain": "parcels"}})],
        [ActionExecuted("action_find_parcel"), BotUttered("Looking."), ActionExecuted(REPLY)],
    ],
)
def test_other_replies_tell_nothing(done: List[Event], caplog: pytest.LogCaptureFixture) -> None:
    tell_if_unspoken(done)
    assert caplog.text == ""


def test_with_our_generator_an_apology_is_an_apology(caplog: pytest.LogCaptureFixture) -> None:
    OnrampResponseGenerator()
    tell_if_unspoken(APOLOGY)
    assert caplog.text == ""
