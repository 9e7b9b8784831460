"""MetricsInput: a channel that tells Prometheus what the bot does.

# credentials.yml
rasa_onramp.components.metrics.MetricsInput:
  token_env: RASA_ONRAMP_METRICS_TOKEN
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Awaitable, Callable, Dict, Iterator, Optional

from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.shared.exceptions import InvalidConfigException
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, raw

from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.http import refusal_response
from rasa_onramp.components.threads import Threads
from rasa_onramp.components.tokens import Token
from rasa_onramp.refusals import Refused
from rasa_onramp.runtime.gauges import engine_gauges, job_gauges
from rasa_onramp.runtime.telemetry import exposition, lacking

__all__ = ["MetricsInput"]

#: Scrapes that are answered at once, and that wait; each may wait for the store a moment.
_THREADS, _WAITING = 2, 8


class MetricsInput(InputChannel):
    """Answers GET /webhooks/onramp/metrics, to those who know the token.

    It sends no message to the bot. See docs/monitoring.md for what it tells.
    """

    def __init__(self, token: Token):
        self._token = token
        self._threads = Threads("onramp-metrics", _THREADS, _WAITING)

    @classmethod
    def name(cls) -> str:
        """The channel's name (see parent class)."""
        return "onramp_metrics"

    def url_prefix(self) -> str:
        """What Rasa puts into the URL: all channels of ours are under one name."""
        return "onramp"

    @classmethod
    def from_credentials(cls, credentials: Optional[Dict[str, Any]]) -> MetricsInput:
        """Read the name of the variable that holds the token. Raises InvalidConfigException, also
        where there are no metrics to be had.
        """
        lacks = lacking()
        if lacks is not None:
            raise InvalidConfigException(f"credentials.yml: {cls.__name__}: {lacks}")
        return cls(Token.from_credentials(credentials, cls.__name__))

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The route (see parent class)."""
        routes = Blueprint("onramp_metrics", __name__)

        @routes.get("/metrics")
        async def metrics(request: Request) -> HTTPResponse:
            try:
                self._token.authorise(request)
                return await self._told(request.headers.get("accept", ""))
            except Refused as refusal:
                return refusal_response(refusal)

        return routes

    async def _told(self, accept: str) -> HTTPResponse:
        try:
            body, content_type = await self._threads.run(exposition, accept, _gauges)
        except (OSError, ValueError) as error:  # the folder that several processes share is gone
            problem = f"the metrics can't be read ({error}); see PROMETHEUS_MULTIPROC_DIR"
            raise Refused(problem, HTTPStatus.SERVICE_UNAVAILABLE) from error
        return raw(body, content_type=content_type)


def _gauges() -> Iterator[Any]:
    runtime = current_runtime()
    engine = None if runtime is None else runtime.opened
    yield from engine_gauges(engine)
    if engine is not None and engine.catalogue.reachable:  # no scrape waits for one that is down
        yield from job_gauges(engine)
