"""`action_onramp_call`: the one action a Rasa domain declares for all API calls of ours.

OnrampPolicy predicts it for an action that the Rasa domain doesn't declare, and leaves the call in
the slot `onramp`; its outcome goes to the slot `onramp_results`, where the reply finds it:

    {"action": "find_parcel", "rows": [{"status": "in transit"}]}
    {"action": "find_parcel", "error": "… gave no answer within 5 s"}
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any, Dict, List

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from rasa_onramp.actions.answer import answer
from rasa_onramp.actions.calls import Call
from rasa_onramp.actions.http import ALLOWED_HOSTS_VARIABLE, DEFAULT_TIMEOUT
from rasa_onramp.errors import ActionFailed
from rasa_onramp.formats.wording import one_line
from rasa_onramp.logs import Seldom
from rasa_onramp.rasa_names import DISPATCHER, KEY, RESULTS

__all__ = ["TIMEOUT_VARIABLE", "ActionOnrampCall"]

logger = logging.getLogger(__name__)

#: Names an environment variable: seconds that an API call may take.
TIMEOUT_VARIABLE = "RASA_ONRAMP_ACTION_TIMEOUT"

_open_to_all = Seldom(24 * 3600)


class ActionOnrampCall(Action):
    """Makes the API call that the slot `onramp` asks for."""

    def name(self) -> str:
        """The name a Rasa domain declares."""
        return DISPATCHER

    async def run(
        self,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: Dict[str, Any],
    ) -> List[Dict[str, Any]]:
        """Answer the call; a failure is logged and handed on, never raised."""
        # where the action was chosen by hand (`rasa interactive`), only the message has the call
        heard = (tracker.latest_message or {}).get(KEY)
        asked = (heard or tracker.get_slot(KEY) or {}).get("call")
        name = asked.get("name") if isinstance(asked, dict) else None
        outcome: Dict[str, Any] = {"action": name}
        try:
            call = _call(asked, tracker)
            _warn_of_any_host(call)
            outcome["rows"] = list(await answer(call, timeout=_timeout()))
        except ActionFailed as error:
            said = one_line(str(error))  # a handler's exception may hold what a user wrote
            logger.error("%s", said, exc_info=error.__cause__)
            outcome["error"] = said
        return [SlotSet(RESULTS, outcome)]


def _call(asked: Any, tracker: Tracker) -> Call:
    message = tracker.latest_message or {}
    return replace(
        Call.from_json(asked),
        conversation=tracker.sender_id,
        channel=tracker.get_latest_input_channel(),
        message_id=message.get("message_id"),
        metadata=message.get("metadata") or {},
    )


def _warn_of_any_host(call: Call) -> None:
    """The URL comes with the request, and nobody here can know whether a schema has it."""
    if call.url and ALLOWED_HOSTS_VARIABLE not in os.environ and _open_to_all.due():
        logger.warning(
            "whoever reaches this action server can have it call any host; set "
            "$%s to the hosts that may be called, and let only the bot reach its port",
            ALLOWED_HOSTS_VARIABLE,
        )


def _timeout() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE, "")
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ActionFailed(f"${TIMEOUT_VARIABLE} is {text!r}; set it to a number of seconds")
    return seconds
