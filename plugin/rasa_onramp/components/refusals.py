"""Requests that our channels refuse, and how much of a request's body they read."""

from __future__ import annotations

from http import HTTPStatus

from sanic.request import Request
from sanic.response import HTTPResponse
from sanic.response import json as json_response

__all__ = ["Refused", "read_body"]


class Refused(Exception):
    """A request that isn't served: its `status`, and one line that says why and what to do."""

    def __init__(self, status: HTTPStatus, problem: str):
        super().__init__(problem)
        self.status = status

    def response(self) -> HTTPResponse:
        """{"error": "…"}, which is what every channel of ours answers then."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {}
        return json_response({"error": str(self)}, status=int(self.status), headers=headers)


async def read_body(request: Request, most: int, mend: str) -> bytes:
    """The body of a request that a route takes as a stream, `most` bytes of it.

    Raises Refused if it is longer; the rest isn't read.
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
    return parts
