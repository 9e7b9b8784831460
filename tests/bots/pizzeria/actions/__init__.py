"""The pizzeria's action server. The environment variable LOG names a file for what was asked."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Mapping

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from rasa_onramp.actions import ActionOnrampCall, handles

__all__ = ["ActionOnrampCall", "ActionPlaceOrder", "ActionReserveTable", "open_repair"]


def _log(what: str, parameters: Mapping[str, Any]) -> None:
    with open(os.environ["LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps([what, dict(parameters)]) + "\n")


class ActionPlaceOrder(Action):
    """The bot's own action."""

    def name(self) -> str:
        return "action_place_order"

    def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Dict[str, Any]
    ) -> List[Dict[str, Any]]:
        order = {name: tracker.get_slot(name) for name in ("size", "topping", "address")}
        _log("place_order", order)
        dispatcher.utter_message(text="A {size} {topping} pizza to {address}.".format(**order))
        return [SlotSet(name, None) for name in order]


class ActionReserveTable(Action):
    """table_booking's API action as the Rasa domain declares it; answers by a slot of the bot's."""

    def name(self) -> str:
        return "action_reserve_table"

    def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Dict[str, Any]
    ) -> List[Dict[str, Any]]:
        parameters = tracker.latest_message["onramp"]["call"]["parameters"]
        _log("reserve_table", parameters)
        return [SlotSet("table_code", "t77")]


@handles("open_repair", domain="bike_repair")
def open_repair(parameters: Mapping[str, str]) -> List[Dict[str, str]]:
    """bike_repair's API action, which no Rasa domain declares."""
    _log("open_repair", parameters)
    if parameters["owner_name"] == "emil":
        raise RuntimeError("the workshop is on fire")
    return [{"ticket_code": "t88"}]
