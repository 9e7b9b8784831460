"""ConsoleInput: a channel that serves the console page and what it asks for.

# credentials.yml
rasa_onramp.components.console.ConsoleInput:
  token_env: RASA_ONRAMP_CONSOLE_TOKEN
"""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any, Awaitable, Callable, Coroutine, Dict, Mapping, Optional

from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.shared.exceptions import InvalidConfigException
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, raw, redirect
from sanic.response import json as json_response

import rasa_onramp.console
from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.http import read_json, refusal_response
from rasa_onramp.components.threads import Threads
from rasa_onramp.components.tokens import Token
from rasa_onramp.console import Console
from rasa_onramp.console.helper import Helper, Surroundings
from rasa_onramp.console.uploads import MOST_BYTES as MOST_UPLOADED
from rasa_onramp.errors import OnrampError
from rasa_onramp.logs import logger_for, traceback_of
from rasa_onramp.refusals import Refused, refusal_of
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.store.connect import URL_VARIABLE

__all__ = ["MOST_BYTES", "ConsoleInput"]

logger = logger_for(__name__)

#: What a request's body may weigh, unless it uploads dialogues.
MOST_BYTES = 64 * 1024

#: Requests that are served at once, and that wait for their turn. They may take seconds, and have
#: threads of their own so that the bot's messages don't wait for one.
_THREADS, _WAITING = 4, 32

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

#: All that the page is made of, read once: no request names a path.
_FILES = {
    path.name: (path.read_bytes(), _TYPES[path.suffix])
    for path in sorted((Path(rasa_onramp.console.__file__).parent / "page").iterdir())
}

#: The page loads nothing from elsewhere, runs no script but its own files, and is in no frame.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Serve = Callable[[Mapping[str, Any]], Dict[str, Any]]
Handler = Callable[[Request], Coroutine[Any, Any, HTTPResponse]]


class ConsoleInput(InputChannel):
    """Serves the page at /webhooks/onramp-console/, and the rest to those who know the token.

    It sends no message to the bot. See docs/console.md for the requests.
    """

    def __init__(self, token: Token, *, adapt_here: bool = True):
        self._token = token
        self._helper = Helper(_surroundings) if adapt_here else None
        self._console = Console(_engine, self._helper)
        self._threads = Threads("onramp-console", _THREADS, _WAITING)

    @classmethod
    def name(cls) -> str:
        """What Rasa puts into the URL (see parent class)."""
        return "onramp-console"

    @classmethod
    def from_credentials(cls, credentials: Optional[Dict[str, Any]]) -> ConsoleInput:
        """Read `token_env` and `adapt_here`. Raises InvalidConfigException."""
        settings = dict(credentials or {})
        adapt_here = settings.pop("adapt_here", True)
        if not isinstance(adapt_here, bool):
            raise InvalidConfigException(
                f"credentials.yml: {cls.__name__}: adapt_here is {adapt_here!r}; make it true or "
                "false"
            )
        return cls(Token.from_credentials(settings, cls.__name__), adapt_here=adapt_here)

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The routes (see parent class)."""
        routes, console = Blueprint("onramp_console", __name__), self._console

        @routes.get("/")
        async def page(request: Request) -> HTTPResponse:
            if not request.path.endswith("/"):  # the page's files are named relative to it
                return redirect(f"{self.name()}/")
            return _file("index.html")

        for name in _FILES:
            routes.get(f"/{name}", name=name.replace(".", "_"))(_serving(name))
        reads: Mapping[str, Serve] = {
            "status": console.status,
            "domains": console.domains,
            "domain": console.domain,
            "progress": console.progress,
        }
        does: Mapping[str, Serve] = {
            "import": console.take_in,
            "adapt": console.adapt,
            "curve": console.measure_curve,
            "versions": console.versions,
            "chat": console.begin_chat,
            "message": console.message,
            "answer": console.answer,
            "feedback": console.judge,
            "feedback/remove": console.take_back,
        }
        for name, serve in reads.items():
            routes.get(f"/api/{name}", name=f"get_{name}")(self._reading(serve))
        for name, serve in does.items():
            # as a stream, because Sanic reads up to 100 MB before it calls any other handler
            routes.add_route(
                self._doing(serve, MOST_UPLOADED if name == "import" else MOST_BYTES),
                f"/api/{name}",
                methods=["POST"],
                stream=True,
                name=f"post_{name.replace('/', '_')}",
            )

        @routes.listener("before_server_stop")
        async def stop(*_: Any) -> None:
            if self._helper is not None:
                await asyncio.get_running_loop().run_in_executor(None, self._helper.close)

        return routes

    def _reading(self, serve: Serve) -> Handler:
        async def handler(request: Request) -> HTTPResponse:
            return await self._answered(request, serve, None)

        return handler

    def _doing(self, serve: Serve, most: int) -> Handler:
        async def handler(request: Request) -> HTTPResponse:
            return await self._answered(request, serve, most)

        return handler

    async def _answered(self, request: Request, serve: Serve, most: Optional[int]) -> HTTPResponse:
        """Check the token, read what is said (the query, or a body of `most` bytes), and serve."""
        try:
            self._token.authorise(request)
            said: Any = dict(request.get_query_args(keep_blank_values=True))
            if most is not None:
                said = await read_json(request, most, "send less at once")
            answer = await self._threads.run(_served, serve, said)
            return json_response(answer, headers={"Cache-Control": "no-store"})
        except Refused as refusal:
            return refusal_response(refusal)


def _engine() -> Engine:
    runtime = current_runtime()
    if runtime is None:
        raise Refused("no model with us is loaded; load one", HTTPStatus.SERVICE_UNAVAILABLE)
    engine = runtime.engine()
    engine.reach.refuse_if_down()
    return engine


def _surroundings() -> Surroundings:
    """What makes `rasa-onramp` work as this bot is set up, and leave it half of the cores."""
    environment, tracker, replies = dict(os.environ), [], []
    runtime = current_runtime()
    if runtime is not None:
        settings = runtime.settings
        if settings.database_url_env is not None:
            environment[URL_VARIABLE] = os.environ.get(settings.database_url_env, "")
        if settings.checkpoint is not None:
            tracker += ["--checkpoint", settings.checkpoint]
        if not settings.replies:
            replies.append("--no-replies")
        elif settings.reply_checkpoint is not None:
            replies += ["--reply-checkpoint", settings.reply_checkpoint]
    tracker += ["--threads", str(max(1, (os.cpu_count() or 1) // 2))]
    return Surroundings(environment, {"worker": [*tracker, *replies], "curve": tracker})


def _served(serve: Serve, said: Mapping[str, Any]) -> Dict[str, Any]:
    """Serve, and say of every error what a person can do about it. Raises Refused."""
    try:
        return serve(said)
    except Refused:
        raise
    except OnrampError as error:
        refusal = refusal_of(error)
        if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
            why = f"the console can't serve a request: {error}"
            logger.error("onramp.console.unavailable", event_info=why)
        raise refusal from error
    except Exception as error:
        why = f"the console failed at a request: {type(error).__name__}"
        logger.error("onramp.console.failed", event_info=why, traceback=traceback_of(error))
        problem = "that failed unexpectedly; see the bot's log"
        raise Refused(problem, HTTPStatus.INTERNAL_SERVER_ERROR) from error


def _serving(name: str) -> Handler:
    async def handler(request: Request) -> HTTPResponse:
        return _file(name)

    return handler


def _file(name: str) -> HTTPResponse:
    content, kind = _FILES[name]
    return raw(content, headers=_HEADERS, content_type=kind)
