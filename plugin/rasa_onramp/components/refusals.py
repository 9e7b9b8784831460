"""Requests that our channels refuse, and how they read a request's body."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from sanic.request import Request
from sanic.response import HTTPResponse
from sanic.response import json as json_response

__all__ = ["Refused", "read_json"]


class Refused(Exception):
    """A request that isn't served: its `status`, and one line that says why and what to do."""

    def __init__(self, status: HTTPStatus, problem: str):
        super().__init__(problem)
        self.status = status

    def response(self) -> HTTPResponse:
        """{"error": "…"}, which is what every channel of ours answers then."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {}
        return json_response({"error": str(self)}, status=int(self.status), headers=headers)


async def read_json(request: Request, most: int, mend: str) -> Any:
    """What the body of a request holds that a route takes as a stream: JSON of `most` bytes.

    Raises Refused if it is none, or longer; the rest isn't read.
    """
    assert request.stream is not None  # it is there while a request is handled
    parts = b""
    async for part in request.stream:
        parts += part
        if len(parts) > most:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body is longer than {most} bytes; {mend}",
            )
    try:
        return json.loads(parts.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused(HTTPStatus.BAD_REQUEST, "the body isn't JSON; send an object") from None
