"""FeedbackInput: a channel that takes feedback on our replies over HTTP.

# credentials.yml
rasa_onramp.components.feedback.FeedbackInput:
  token_env: RASA_ONRAMP_FEEDBACK_TOKEN
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Awaitable, Callable, Dict, Mapping, Optional

from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse
from sanic.response import json as json_response

from rasa_onramp.components.host import OnrampRuntime, current_runtime
from rasa_onramp.components.http import read_json, refusal_response
from rasa_onramp.components.sessions import reply_in
from rasa_onramp.components.threads import Threads
from rasa_onramp.components.tokens import Token
from rasa_onramp.errors import OnrampError, StoreError
from rasa_onramp.formats.wording import quote
from rasa_onramp.logs import logger_for
from rasa_onramp.refusals import Refused, fields, refusal_of
from rasa_onramp.runtime.correction import corrected, state_after
from rasa_onramp.store import THUMBS, Feedback

__all__ = ["MOST_BYTES", "FeedbackInput"]

logger = logger_for(__name__)

#: What a request's body may weigh; a long reply with its state takes a few thousand.
MOST_BYTES = 64 * 1024

#: Feedback that is stored at once, and that waits for its turn; more is refused.
_THREADS, _WAITING = 2, 16

#: What says something of a reply. A state is looked at once it is known which reply it is of.
_OPINIONS = {"thumb": str, "corrected_reply": str, "corrected_state": object}
_KEYS = {"conversation": str, "reply": str, **_OPINIONS}


class FeedbackInput(InputChannel):
    """Takes feedback at POST /webhooks/onramp/feedback, from those who know the token.

    It sends no message to the bot. See docs/feedback.md for what a request holds.
    """

    def __init__(self, token: Token):
        self._token = token
        self._threads = Threads("onramp-feedback", _THREADS, _WAITING)

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
                return json_response(await self._take(request, _checked(said)))
            except Refused as refusal:
                return refusal_response(refusal)

        return routes

    async def _take(self, request: Request, said: Mapping[str, Any]) -> Dict[str, str]:
        """Find the reply, and store what is said of it."""
        runtime, agent = current_runtime(), getattr(request.app.ctx, "agent", None)
        if runtime is None or agent is None or agent.tracker_store is None:
            raise Refused("no model with us is loaded; load one", HTTPStatus.SERVICE_UNAVAILABLE)
        tracker = await _conversation(agent.tracker_store, said["conversation"])
        try:
            return await self._threads.run(_store, runtime, tracker, said)
        except OnrampError as error:
            refusal = refusal_of(error)
            stored = isinstance(error, StoreError)
            if stored and refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
                why = f"feedback can't be stored: {error}"
                logger.error("onramp.feedback.not_stored", event_info=why)
            elif not stored:  # who gives feedback doesn't run the bot
                why = f"feedback can't be taken: {error}"
                logger.error("onramp.feedback.not_taken", event_info=why)
                refusal = Refused("the bot isn't ready; see its log", refusal.status)
            raise refusal from error


async def _conversation(store: TrackerStore, sender: str) -> Optional[DialogueStateTracker]:
    """The conversation with `sender`; None without one. Raises Refused where Rasa's store fails."""
    kept = getattr(store, "_tracker_store", store)  # Rasa's wrapper says None where that one fails
    try:
        return await kept.retrieve(sender)
    except Exception as error:
        # the error's text may hold the sender's id
        why = f"feedback can't be taken: Rasa's tracker store failed with {type(error).__name__}"
        logger.error("onramp.feedback.not_taken", event_info=why)
        raise Refused(
            "the bot's conversations can't be read; try again later, or see the bot's log",
            HTTPStatus.SERVICE_UNAVAILABLE,
        ) from error


def _checked(said: Any) -> Mapping[str, Any]:
    """What the body says, checked as far as it can be without the conversation."""
    given = fields(said, {}, _KEYS)
    if not given["conversation"]:
        raise Refused("'conversation' is missing; give the sender's id")
    if given["thumb"] not in (None, *THUMBS):
        raise Refused(f"'thumb' is {quote(given['thumb'])}; make it one of {', '.join(THUMBS)}")
    if all(given[key] is None for key in _OPINIONS):
        raise Refused(f"it says nothing; give one of {', '.join(_OPINIONS)}")
    return given


def _store(
    runtime: OnrampRuntime, tracker: Optional[DialogueStateTracker], said: Mapping[str, Any]
) -> Dict[str, str]:
    engine = runtime.engine()
    engine.reach.refuse_if_down()
    replied = None if tracker is None else reply_in(tracker, engine, said.get("reply"))
    if replied is None:
        which = "no such reply" if said.get("reply") else "no reply"
        raise Refused(
            f"the conversation has {which} of ours since its session began; give the sender's id "
            "and the reply's whole text",
            HTTPStatus.NOT_FOUND,
        )
    state = None
    if said.get("corrected_state") is not None:
        try:
            state = corrected(state_after(replied.history), said["corrected_state"])
        except ValueError as error:
            raise Refused(f"'corrected_state' {error}") from error
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
    # feedback can be given again; a connection that waits is one that messages lack
    id = engine.reach.ask(lambda store: store.feedback.add(feedback, brief=True), vital=False)
    return {"id": id, "domain": replied.domain}
