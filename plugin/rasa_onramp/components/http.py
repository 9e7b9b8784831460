"""What our channels share: how they read a request's body, and answer one that they refuse."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Dict

from sanic.request import Request
from sanic.response import HTTPResponse
from sanic.response import json as json_response

from rasa_onramp.refusals import Refused

__all__ = ["read_json", "refusal_response"]


def refusal_response(refusal: Refused) -> HTTPResponse:
    """{"error": "…"}, with `line` where that is known."""
    answer: Dict[str, Any] = {"error": str(refusal)}
    if refusal.line is not None:
        answer["line"] = refusal.line
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == HTTPStatus.UNAUTHORIZED else {}
    return json_response(answer, status=int(refusal.status), headers=headers)


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
                f"the body is longer than {most} bytes; {mend}",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
    try:
        return json.loads(parts.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused("the body isn't JSON; send an object") from None
