"""FeedbackInput: a channel that takes feedback on our replies over HTTP.

# credentials.yml
rasa_onramp.components.feedback.FeedbackInput:
  token_env: RASA_ONRAMP_FEEDBACK_TOKEN
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, Awaitable, Callable, Dict, Mapping, Optional

from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse
from sanic.response import json as json_response

from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.refusals import Refused, read_json
from rasa_onramp.components.sessions import reply_in
from rasa_onramp.components.tokens import Token
from rasa_onramp.errors import NotFound, OnrampError, StoreError, StoreUnavailable
from rasa_onramp.formats.wording import UNSTORABLE, quote
from rasa_onramp.logs import logger_for
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.correction import corrected, state_after
from rasa_onramp.store import THUMBS, Feedback

__all__ = ["MOST_BYTES", "FeedbackInput"]

logger = logger_for(__name__)

#: What a request's body may weigh; a long reply with its state takes a few thousand.
MOST_BYTES = 64 * 1024

_KEYS = ("conversation", "reply", "thumb", "corrected_reply", "corrected_state")


class FeedbackInput(InputChannel):
    """Takes feedback at POST /webhooks/onramp/feedback, from those who know the token.

    It sends no message to the bot. See docs/feedback.md for what a request holds.
    """

    def __init__(self, token: Token):
        self._token = token

    @classmethod
    def name(cls) -> str:
        """What Rasa puts into the URL (see parent class)."""
        return "onramp"

    @classmethod
    def from_credentials(cls, credentials: Optional[Dict[str, Any]]) -> FeedbackInput:
        """Read the name of the variable that holds the token. Raises InvalidConfigException."""
        return cls(Token.from_credentials(credentials, cls.__name__))

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The routes (see parent class)."""
        routes = Blueprint("onramp_feedback", __name__)

        # as a stream, because Sanic reads up to 100 MB before it calls any other handler
        @routes.post("/feedback", stream=True)
        async def feedback(request: Request) -> HTTPResponse:
            try:
                self._token.authorise(request)
                said = await read_json(request, MOST_BYTES, "send one reply's feedback")
                return json_response(await _take(request, _checked(said)))
            except Refused as refusal:
                return refusal.response()

        return routes


def _checked(said: Any) -> Mapping[str, Any]:
    """What the body says, checked as far as it can be without the conversation."""
    if not isinstance(said, dict):
        raise _bad("the body isn't a JSON object; send one")
    unknown = sorted(set(said) - set(_KEYS))
    if unknown:
        raise _bad(f"there is no key {quote(unknown[0])}; the keys are {', '.join(_KEYS)}")
    for key in _KEYS[:4]:
        if not isinstance(said.get(key), (str, type(None))):
            raise _bad(f"{key!r} isn't text; make it one")
        if UNSTORABLE.search(said.get(key) or ""):
            raise _bad(f"{key!r} has a NUL or half of a surrogate pair in it; remove it")
    if not said.get("conversation"):
        raise _bad("'conversation' is missing; give the sender's id")
    if said.get("thumb") not in (None, *THUMBS):
        raise _bad(f"'thumb' is {quote(said['thumb'])}; make it one of {', '.join(THUMBS)}")
    if all(said.get(key) is None for key in _KEYS[2:]):
        raise _bad(f"it says nothing; give one of {', '.join(_KEYS[2:])}")
    return said


async def _take(request: Request, said: Mapping[str, Any]) -> Dict[str, str]:
    """Find the reply, and store what is said of it."""
    runtime, agent = current_runtime(), getattr(request.app.ctx, "agent", None)
    if runtime is None or agent is None or agent.tracker_store is None:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no model with us is loaded; load one")
    tracker = await agent.tracker_store.retrieve(said["conversation"])
    loop = asyncio.get_running_loop()
    try:
        engine = await loop.run_in_executor(None, runtime.engine)
        return await loop.run_in_executor(None, partial(_store, engine, tracker, said))
    except NotFound as error:
        raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error
    except StoreUnavailable as error:
        why = f"feedback can't be stored: {error}"
        logger.error("onramp.feedback.not_stored", event_info=why)
        problem = "the store can't be reached; try again later"
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, problem) from error
    except StoreError as error:
        raise _bad(str(error)) from error
    except OnrampError as error:
        why = f"feedback can't be taken: {error}"
        logger.error("onramp.feedback.not_taken", event_info=why)
        problem = "the bot isn't ready; see its log"
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, problem) from error


def _store(
    engine: Engine, tracker: Optional[DialogueStateTracker], said: Mapping[str, Any]
) -> Dict[str, str]:
    replied = None if tracker is None else reply_in(tracker, engine, said.get("reply"))
    if replied is None:
        which = "no such reply" if said.get("reply") else "no reply"
        raise Refused(
            HTTPStatus.NOT_FOUND,
            f"the conversation has {which} of ours since its session began; give the sender's id "
            "and the reply's whole text",
        )
    state = None
    if said.get("corrected_state") is not None:
        try:
            state = corrected(state_after(replied.history), said["corrected_state"])
        except ValueError as error:
            raise _bad(f"'corrected_state' {error}") from error
    feedback = Feedback(
        domain=replied.domain,
        conversation=said["conversation"],
        history=replied.history,
        reply=replied.turn,
        template=replied.template,
        thumb=said.get("thumb"),
        corrected_reply=said.get("corrected_reply"),
        corrected_state=state,
    )
    return {"id": engine.store.feedback.add(feedback), "domain": replied.domain}


def _bad(problem: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, problem)
