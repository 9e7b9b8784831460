"""Malformed HTTP requests to our channels, in a real server.

A new channel joins by an Endpoint for each of its routes, and by standing in `channels`.
"""

from __future__ import annotations

import json
import logging
import socket
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Iterator, List, Optional, Tuple
from urllib.parse import urlsplit

import requests
from hypothesis import strategies as st
from rasa.core.channels.channel import InputChannel
from rasa.shared.core.events import BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from channel_server import ChannelServer, runtime_on
from malformed import Workplace, damaged_bytes, json_bytes
from rasa_onramp.actions.calls import Call
from rasa_onramp.components.console import ConsoleInput
from rasa_onramp.components.feedback import FeedbackInput
from rasa_onramp.components.metrics import MetricsInput
from rasa_onramp.components.tokens import Token
from rasa_onramp.console.chats import Chats
from rasa_onramp.store import open_store
from tiny_tracker import tiny_tracker
from valid_input import VALID_EVENTS, VALID_YAML

__all__ = ["ENDPOINTS", "Endpoint", "Served", "requests_to", "serving"]

TOKEN = "a-token-of-16-characters-or-more"
CONSOLE = "/webhooks/onramp-console"
#: Stands for the id of a chat of the console, and is as long.
CHAT = "a-chat-of-a-test"


@dataclass(frozen=True)
class Endpoint:
    """A route of ours, and valid `bodies` for it."""

    method: str
    path: str
    bodies: Tuple[Any, ...] = ()


ENDPOINTS = (
    Endpoint(
        "POST",
        "/webhooks/onramp/feedback",
        (
            {"conversation": "ann", "thumb": "down", "reply": "small"},
            {
                "conversation": "ann",
                "corrected_reply": "ok then",
                "corrected_state": {
                    "values": {"place": ["York", "york"], "size": None},
                    "active_intent": "book",
                    "requested_slots": ["size"],
                },
            },
        ),
    ),
    Endpoint("GET", "/webhooks/onramp/metrics"),
    *(
        Endpoint("GET", f"{CONSOLE}/{name}")
        for name in ("", "main.js", "api/status", "api/domains")
    ),
    *(Endpoint("GET", f"{CONSOLE}/api/{name}?domain=taxi") for name in ("domain", "progress")),
    *(
        Endpoint("POST", f"{CONSOLE}/api/{name}", bodies)
        for name, bodies in {
            "import": (
                {"files": [{"name": "taxi.yml", "text": VALID_YAML}], "dry_run": True},
                {"files": [{"name": "taxi.json", "text": "[]"}]},
            ),
            "adapt": ({"domain": "taxi", "force": True, "switch_anyway": None},),
            "curve": ({"domain": "taxi"},),
            "versions": (
                {"domain": "taxi", "do": "activate", "version": None},
                {"domain": "taxi", "do": "pin", "version": 1},
                {"domain": "taxi", "do": "rollback"},
            ),
            "chat": ({"domain": "taxi"}, {"domain": None}),
            "message": ({"chat": CHAT, "text": "a taxi to York"},),
            "answer": (
                {"chat": CHAT, "how": "rows", "rows": "size=Small"},
                {"chat": CHAT, "how": "rows", "rows": '[{"size": "Small"}]'},
                {"chat": CHAT, "how": "sample"},
                {"chat": CHAT, "how": "failed"},
            ),
            "feedback": (
                {"chat": CHAT, "reply": 0, "thumb": "down"},
                {
                    "chat": CHAT,
                    "reply": 0,
                    "corrected_reply": "ok then",
                    "corrected_state": {"values": {"place": ["York"]}, "active_intent": None},
                },
            ),
            "feedback/remove": ({"domain": "taxi", "id": "an-id"},),
        }.items()
    ),
)

#: What any of them may answer. 500 would be an error that nobody thought of.
_ALLOWED = (200, 302, 400, 401, 404, 405, 408, 409, 411, 413, 414, 415, 417, 431)


def channels(console: ConsoleInput) -> List[InputChannel]:
    """The channels with the routes of ENDPOINTS."""
    token = Token(TOKEN)
    return [FeedbackInput(token), MetricsInput(token), console]


@dataclass(frozen=True)
class Sent:
    """A request as bytes; `whole` says that HTTP itself is kept, so that there is an answer."""

    data: bytes
    whole: bool


class Served:
    """A running server, the store that it writes to, and all that went wrong in it."""

    def __init__(self, place: Workplace, url: str, failures: List[str], chats: Chats):
        self.place = place
        self.failures = failures
        self._chats = chats
        self._console = f"{url}{CONSOLE}/api"
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 0)

    def check(self, sent: Sent) -> Optional[int]:
        """Send a request; the status of the answer, None if there was none."""
        if CHAT.encode() in sent.data:
            sent = replace(sent, data=sent.data.replace(CHAT.encode(), self._chat().encode()))
        status, body = self._answer(sent)
        failed = list(self.failures)
        self.failures.clear()
        assert failed == []
        if status is None:
            assert not sent.whole
        else:
            # Sanic itself answers 500 to some bytes that are no HTTP
            assert status in _ALLOWED or (status == 500 and not sent.whole), (status, body)
        if body.startswith(b"{"):
            # bytes that are two requests get two answers
            said, _ = json.JSONDecoder().raw_decode(body.decode("utf-8", "replace"))
            if "error" in said and set(said) == {"error"}:
                assert said["error"].isprintable(), said
                assert len(said["error"]) < 1000, said
        if status == 200:
            self.place.restore()
        assert self.place.unchanged()
        return status

    def _chat(self) -> str:
        """A new chat, in which the bot replied, and waits for the answer to an API call."""
        id = self._done("chat", {"domain": "taxi"})["chat"]
        found = self._done("message", {"chat": id, "text": "to Leeds"})
        if found["call"] is not None:
            found = self._done("answer", {"chat": id, "how": "sample"})
        assert found["turn"]["reply"]["number"] == 0
        chat = self._chats.get(id)  # an untrained tracker calls when it likes
        chat.waiting, chat.call = "to York", Call("taxi", "send", {"place": "York"})
        return id

    def _done(self, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.post(f"{self._console}/{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _answer(self, sent: Sent) -> Tuple[Optional[int], bytes]:
        # one that isn't whole may keep the server waiting for more
        with socket.create_connection(self._address, timeout=30 if sent.whole else 1) as connection:
            parts: List[bytes] = []
            with suppress(ConnectionError, socket.timeout):  # it hung up, or goes on waiting
                connection.sendall(sent.data)
                parts.extend(iter(lambda: connection.recv(65536), b""))
        answer = b"".join(parts)
        if answer.startswith(b"HTTP/1.1 100 "):  # "go on", as `Expect` asks for
            answer = answer.partition(b"\r\n\r\n")[2]
        head, _, body = answer.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        if len(words) < 2 or not words[1].isdigit():
            return None, b""
        return int(words[1]), body


class _Failures(logging.Handler):
    """Keeps what was logged with a traceback that leads through our code; what Sanic makes of bytes
    that are no HTTP never comes that far.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = record.exc_info[2] if record.exc_info else None
        if any("rasa_onramp" in frame.filename for frame in traceback.extract_tb(trace)):
            self.found.append(f"{record.name}: {record.getMessage()} {record.exc_info!r}")


@contextmanager
def serving(place: Workplace) -> Iterator[Served]:
    """The channels, serving the workplace's store; in the conversation `ann` we said something."""
    handler = _Failures()
    loggers = [logging.getLogger(name) for name in ("", "sanic.error", "sanic.root")]
    for logger in loggers:
        logger.addHandler(handler)
    with open_store(f"sqlite:///{place.store}") as store, runtime_on(store, tiny_tracker()):
        console = ConsoleInput(Token(TOKEN), adapt_here=False)
        server = ChannelServer(channels(console))
        try:
            said = DialogueStateTracker("ann", [])
            user, bot = VALID_EVENTS[-2:]
            said.update(UserUttered(user["text"], {"name": "x"}, parse_data=user["parse_data"]))
            said.update(BotUttered(bot["text"], metadata=bot["metadata"]))
            server.save(said)
            yield Served(place, server.url, handler.found, console._console._chats)
        finally:
            server.close()
            for logger in loggers:
                logger.removeHandler(handler)


_HEADERS = st.sampled_from(
    (
        *("Content-Type: text/plain", "Content-Type: application/json; charset=utf-7"),
        *("Content-Length: -1", "Content-Length: 9999999999999", "Content-Length: x"),
        *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Content-Encoding: gzip"),
        *("Expect: 100-continue", "Expect: x", "Upgrade: websocket", "Cookie: " + "a" * 9000),
        *("Authorization: Bearer", "Authorization: Basic \xff", "Authorization: Bearer x", "Host:"),
        *("X" * 20_000 + ": y", ": y", "no colon", "X-Forwarded-For: ' OR 1=1 --", "Origin: evil"),
    )
)


@st.composite
def requests_to(draw: st.DrawFn, endpoint: Endpoint) -> Sent:
    """A request that is wrong somewhere: in its body, its method, path or headers, or in its very
    bytes.
    """
    valid = draw(st.sampled_from(endpoint.bodies)) if endpoint.bodies else {}
    body = json.dumps(valid).encode()
    where = draw(st.sampled_from(("body", "body", "body", "body", "head", "bytes")))
    method, path, headers = endpoint.method, endpoint.path, []
    if where == "body":
        body = draw(json_bytes(valid) | st.binary(max_size=50) | st.just(b" " * 70_000))
    elif where == "head":
        method = draw(st.sampled_from((method, method, "GET", "PUT", "DELETE", "HEAD", "BREW")))
        path += draw(
            st.sampled_from(("", "", "/", "/../feedback", "?a=%00", "%ff", ";x", "/x" * 5000))
        )
        headers = draw(st.lists(_HEADERS, max_size=3))
    sent = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}"]
    sent += [f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    data = "\r\n".join(sent).encode("latin-1") + body
    if where == "bytes":
        data = draw(damaged_bytes(data))
    return Sent(data, whole=where == "body")
