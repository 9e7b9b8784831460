"""MetricsInput: a channel that tells Prometheus what the bot does.

# credentials.yml
rasa_onramp.components.metrics.MetricsInput:
  token_env: RASA_ONRAMP_METRICS_TOKEN
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, Awaitable, Callable, Dict, Iterator, Optional

from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.shared.exceptions import InvalidConfigException
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, raw

from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.refusals import Refused
from rasa_onramp.components.tokens import Token
from rasa_onramp.runtime.gauges import engine_gauges, job_gauges
from rasa_onramp.runtime.telemetry import exposition, lacking

__all__ = ["MetricsInput"]


class MetricsInput(InputChannel):
    """Answers GET /webhooks/onramp/metrics, to those who know the token.

    It sends no message to the bot. See docs/monitoring.md for what it tells.
    """

    def __init__(self, token: Token):
        self._token = token

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
                return await _told(request.headers.get("accept", ""))
            except Refused as refusal:
                return refusal.response()

        return routes


async def _told(accept: str) -> HTTPResponse:
    loop = asyncio.get_running_loop()
    try:
        told = await loop.run_in_executor(None, partial(exposition, accept, _gauges))
    except (OSError, ValueError) as error:  # the folder that several processes share is gone
        problem = f"the metrics can't be read ({error}); see PROMETHEUS_MULTIPROC_DIR"
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, problem) from error
    body, content_type = told
    return raw(body, content_type=content_type)


def _gauges() -> Iterator[Any]:
    runtime = current_runtime()
    engine = None if runtime is None else runtime.opened
    yield from engine_gauges(engine)
    if engine is not None and engine.catalogue.reachable:  # no scrape waits for one that is down
        yield from job_gauges(engine)
