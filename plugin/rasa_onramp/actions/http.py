"""Calls an action's HTTP endpoint, the `url` of the domain's schema.

    POST url   {"domain": …, "action": …, "parameters": {slot: value},
                "conversation": …, "channel": …, "message_id": …}     (the last three within Rasa)
    200        [{slot: value}, …]    or    {"results": [{slot: value}, …]}    or nothing

Anything else is a failed call. The standard library does it, so that an action server needs
nothing beyond rasa-sdk.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Callable, Dict, Optional, Tuple, Type
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

from rasa_onramp.actions.calls import Call, as_rows
from rasa_onramp.errors import ActionFailed

__all__ = ["ALLOWED_HOSTS_VARIABLE", "DEFAULT_TIMEOUT", "MAX_BYTES", "post"]

#: Seconds for the whole call.
DEFAULT_TIMEOUT = 5.0

#: An answer may be this long.
MAX_BYTES = 1_000_000

#: Names an environment variable: if it is set, a comma-separated list of the only hosts that may
#: be called ("api.example.com, localhost:8000").
ALLOWED_HOSTS_VARIABLE = "RASA_ONRAMP_ACTION_HOSTS"


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would lead past the check of the host."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class _Deadline:
    """When the time for a call is up. Its connection is cut then: a socket's own time limit begins
    anew with every byte that arrives.
    """

    def __init__(self, seconds: float):
        self._at = time.monotonic() + seconds
        self._line: Optional[socket.socket] = None
        self._timer: Optional[threading.Timer] = None

    def __enter__(self) -> _Deadline:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._line is not None:
            self._line.close()

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self._at

    def cuts(self, connected: socket.socket) -> None:
        """Cut this connection when it has passed."""
        self._line = connected.dup()  # TLS takes the socket itself away
        self._timer = threading.Timer(max(0.0, self._at - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        assert self._line is not None
        with suppress(OSError):  # the other side was faster
            self._line.shutdown(socket.SHUT_RDWR)


class _Connection(HTTPConnection):
    deadline: _Deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.cuts(self.sock)


class _TlsConnection(HTTPSConnection, _Connection):  # whose connect calls the other one's first
    pass


class _Http(HTTPHandler):
    def __init__(self, deadline: _Deadline):
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> Any:
        return self.do_open(_made_with(_Connection, self._deadline), req)


class _Https(HTTPSHandler):
    def __init__(self, deadline: _Deadline):
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: Request) -> Any:
        return self.do_open(_made_with(_TlsConnection, self._deadline), req)


def _made_with(kind: Type[_Connection], deadline: _Deadline) -> Callable[..., HTTPConnection]:
    def made(*args: Any, **kwargs: Any) -> HTTPConnection:
        connection = kind(*args, **kwargs)
        connection.deadline = deadline
        return connection

    return made


def post(call: Call, *, timeout: float = DEFAULT_TIMEOUT) -> Tuple[Dict[str, str], ...]:
    """Ask `call.url` for the results. `timeout` in seconds bounds the whole call.

    A user and password in the URL are sent as basic authentication. Raises ActionFailed if the
    endpoint can't be reached in time or answers with something else than rows.
    """
    url, authorization = _without_user(call.url or "")
    where = _checked(url)
    told = {"domain": call.domain, "action": call.name, "parameters": dict(call.parameters)}
    whose = {name: getattr(call, name) for name in ("conversation", "channel", "message_id")}
    known = {name: value for name, value in whose.items() if value is not None}
    body = json.dumps({**told, **known}).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json", **authorization}
    request = Request(url, data=body, headers=headers, method="POST")
    deadline = _Deadline(timeout)
    opener = build_opener(_NoRedirect, _Http(deadline), _Https(deadline))
    try:
        with deadline, opener.open(request, timeout=timeout) as response:
            content = _read(response, deadline, where)
    except HTTPError as error:
        error.close()
        raise ActionFailed(f"{where} answered with HTTP {error.code}; see its log") from None
    except (TimeoutError, URLError, OSError, HTTPException, UnicodeError) as error:
        # an exception of HTTP itself may quote the URL with its query
        reason: Any = type(error).__name__ if isinstance(error, HTTPException) else error
        reason = getattr(reason, "reason", reason)
        if deadline.over or isinstance(reason, TimeoutError) or "timed out" in str(reason):
            raise ActionFailed(f"{where} gave no answer within {timeout:g} s") from None
        raise ActionFailed(f"{where} can't be reached ({reason}); is it running?") from None
    if not content.strip():
        return ()
    try:
        return as_rows(json.loads(content))
    except (ValueError, RecursionError):
        raise ActionFailed(f"{where} answered with something that isn't JSON") from None
    except ActionFailed as error:
        raise ActionFailed(f"{where}: {error}") from None


def _read(response: Any, deadline: _Deadline, where: str) -> bytes:
    content = b""
    while True:
        chunk = response.read1(65536)
        if deadline.over:  # what was cut looks like an end
            raise TimeoutError("timed out")
        if not chunk:
            length = response.headers.get("Content-Length", "")
            if length.isdigit() and len(content) < int(length):
                raise ActionFailed(f"{where} broke its answer off; see its log")
            return content
        content += chunk
        if len(content) > MAX_BYTES:
            raise ActionFailed(f"{where} answered with more than {MAX_BYTES} bytes")


def _without_user(url: str) -> Tuple[str, Dict[str, str]]:
    """The URL without user and password, and the header that gives them instead."""
    try:
        parts = urlsplit(url)
    except ValueError:  # for `_checked` to say
        return url, {}
    told, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = told.partition(":")
    given = f"{unquote(user)}:{unquote(password)}".encode()
    encoded = base64.b64encode(given).decode("ascii")
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {encoded}"}


def _checked(url: str) -> str:
    """The endpoint as logs may show it: without user, password and query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # not repeated: it may hold a password
        raise ActionFailed("the action's URL can't be read; mend it in the schema") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ActionFailed("the action's URL isn't http:// or https://; mend it in the schema")
    name = host if port is None else f"{host}:{port}"
    allowed = os.environ.get(ALLOWED_HOSTS_VARIABLE)
    # urlsplit has made the host lower case
    if allowed is not None and name not in {each.strip().lower() for each in allowed.split(",")}:
        raise ActionFailed(f"{name} isn't among the hosts of ${ALLOWED_HOSTS_VARIABLE}; add it")
    return f"{parts.scheme}://{name}{parts.path}"
