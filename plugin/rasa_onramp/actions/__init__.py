"""The action server's side: who answers the API calls of onboarded domains.

Needs rasa-sdk, not Rasa. In your bot's actions package:

    from rasa_onramp.actions import ActionOnrampCall, handles

    @handles("find_parcel", domain="parcel_delivery")
    def find_parcel(parameters):
        return [{"status": "in transit", "expected_day": "Friday"}]

or, where the schema's actions have URLs, no code at all: `rasa run actions --actions
rasa_onramp.actions`.
"""

from __future__ import annotations

from typing import Any

from rasa_onramp.actions.calls import Call, as_rows
from rasa_onramp.actions.registry import handles
from rasa_onramp.errors import ActionFailed

__all__ = ["ActionFailed", "ActionOnrampCall", "Call", "as_rows", "handles"]


def __getattr__(name: str) -> Any:
    # only the dispatcher needs rasa-sdk: `rasa-onramp chat` calls handlers without it
    if name == "ActionOnrampCall":
        from rasa_onramp.actions.dispatcher import ActionOnrampCall

        return ActionOnrampCall
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
