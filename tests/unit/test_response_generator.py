"""What is said for `utter_onramp` where we can't answer and something else speaks for the bot."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler
from typing import Any, Dict, Iterator, Optional

import pytest

pytest.importorskip("rasa")

from rasa.core.actions.action import ActionBotResponse
from rasa.core.channels.channel import CollectingOutputChannel
from rasa.core.nlg import NaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from rasa_onramp.components import OnrampResponseGenerator, host
from rasa_onramp.rasa_names import KEY, REPLY
from rasa_onramp.runtime.settings import ModelSettings
from servers import LocalServer, free_port

RESPONSES = {"responses": {REPLY: [{"text": "Sorry."}]}}


class Raises(NaturalLanguageGenerator):
    """A generator of the bot's own, as `delegate` names it."""

    def __init__(self, endpoint_config: EndpointConfig, domain: Domain):
        pass

    async def generate(self, utter_action: str, *_: Any, **__: Any) -> Optional[Dict[str, Any]]:
        raise KeyError(utter_action)


class Knows(Raises):
    async def generate(self, *_: Any, **__: Any) -> Optional[Dict[str, Any]]:
        return {"text": "Later."}


class Silent(Raises):
    async def generate(self, *_: Any, **__: Any) -> Optional[Dict[str, Any]]:
        return None


class Empty(Raises):
    async def generate(self, *_: Any, **__: Any) -> Optional[Dict[str, Any]]:
        return {"id": "utter_onramp", "text": "", "buttons": []}


@pytest.fixture(autouse=True)
def runtime() -> Iterator[host.OnrampRuntime]:
    """One that can't answer."""
    runtime = host.runtime_for(ModelSettings(checkpoint="nowhere"))
    yield runtime
    host._current.clear()


@pytest.fixture
def nlg_server() -> Iterator[str]:
    """An NLG server that never heard of us."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = LocalServer(Handler)
    yield server.url
    server.close()


def uttered(action: str = REPLY, **settings: Any) -> BotUttered:
    """What the bot says, by Rasa's own action."""
    domain = Domain.from_dict(RESPONSES)
    speaker = OnrampResponseGenerator(EndpointConfig(**settings), domain)
    heard = UserUttered("hello", {"name": "onramp"}, parse_data={KEY: {"domain": "trips"}})
    tracker = DialogueStateTracker.from_events("ann", [heard], domain.slots)
    run = ActionBotResponse(action).run(CollectingOutputChannel(), speaker, tracker, domain)
    (event,) = asyncio.run(run)
    assert isinstance(event, BotUttered)
    return event


@pytest.mark.parametrize("delegate", [Raises, Silent, Empty])
def test_a_generator_that_has_nothing_to_say_for_us_is_no_silence(delegate: type) -> None:
    said = uttered(delegate=f"{__name__}.{delegate.__name__}")
    assert said.text == "Sorry."
    assert said.metadata[KEY]["domain"] == "trips"
    assert said.metadata[KEY]["because"] == "unavailable"


def test_an_nlg_server_that_does_not_know_us_is_no_silence(nlg_server: str) -> None:
    for url in (nlg_server, f"http://127.0.0.1:{free_port()}"):
        said = uttered(url=url)
        assert (said.text, said.metadata[KEY]["because"]) == ("Sorry.", "unavailable")


def test_a_generator_that_has_something_to_say_is_heard() -> None:
    said = uttered(delegate=f"{__name__}.Knows")
    assert (said.text, said.metadata[KEY]["because"]) == ("Later.", "unavailable")


def test_its_failures_at_the_bots_own_responses_are_the_bots_own() -> None:
    with pytest.raises(KeyError, match="utter_greet"):
        uttered("utter_greet", delegate=f"{__name__}.Raises")
