"""The tokens that open our channels: `token_env` in credentials.yml names the variable with it."""

from __future__ import annotations

import hmac
import os
from http import HTTPStatus
from typing import Any, Dict, Optional

from rasa.shared.exceptions import InvalidConfigException
from sanic.request import Request

from rasa_onramp.channel_token import token_flaw
from rasa_onramp.environment import is_variable
from rasa_onramp.refusals import Refused

__all__ = ["Token"]


class Token:
    """A channel's token. It is compared in constant time, and shown nowhere."""

    def __init__(self, text: str):
        self._bytes = text.encode()

    @classmethod
    def from_credentials(cls, credentials: Optional[Dict[str, Any]], channel: str) -> Token:
        """The token in the variable that the `channel`'s credentials name.

        Raises InvalidConfigException if they hold anything else, or the variable no good token.
        """
        settings = dict(credentials or {})
        variable = settings.pop("token_env", None)
        problem = None
        if settings or not isinstance(variable, str) or not is_variable(variable):
            # don't repeat it: it may be the token itself
            problem = (
                "give it token_env, the name of an environment variable that is set, and nothing "
                "else"
            )
        else:
            flaw = token_flaw(variable)
            problem = flaw and f"the environment variable {variable} {flaw}"
        if problem is not None:
            raise InvalidConfigException(f"credentials.yml: {channel}: {problem}")
        return cls(os.environ[str(variable)])

    def authorise(self, request: Request) -> None:
        """Raises Refused unless the request says `Authorization: Bearer TOKEN`."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.encode("utf-8", "replace"), self._bytes)
        if not same or kind.lower() != "bearer":
            raise Refused(
                "wrong or no token; send `Authorization: Bearer TOKEN`", HTTPStatus.UNAUTHORIZED
            )
