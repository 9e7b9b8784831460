"""The names that a Rasa bot and our parts know each other by: init writes them into its domain."""

from __future__ import annotations

from typing import Tuple

__all__ = ["DISPATCHER", "INTENT", "KEY", "REPLY", "RESULTS", "own_actions"]

#: The intent of a message that is ours.
INTENT = "onramp"
#: The message key and the slot that hold what was understood, and the key of a reply's metadata.
KEY = "onramp"
#: The slot that holds what an API call answered.
RESULTS = "onramp_results"
#: The action for API calls that the Rasa domain doesn't declare.
DISPATCHER = "action_onramp_call"
#: The action that says what we have to say.
REPLY = "utter_onramp"


def own_actions(call: str) -> Tuple[str, ...]:
    """The names of actions of a bot's own that make the API call `call`, the preferred one first;
    a bot that declares neither leaves it to the dispatcher.
    """
    return (call, f"action_{call}")
