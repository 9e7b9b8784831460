"""The action server's side of the demo: API calls answer what they answered in dialogue_data.

A call is looked up among all recorded calls of its action; the one with the most parameters in
common answers. Real bots register handlers that ask a database or a service:

    @handles("find_parcel", domain="parcel_delivery")
    def find_parcel(parameters):
        return parcels.lookup(parameters["tracking_number"])
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Mapping, Tuple

from rasa_onramp.actions import ActionOnrampCall, handles
from rasa_onramp.formats import read

__all__ = ["ActionOnrampCall", "recorded_calls"]

DATA = Path(__file__).resolve().parents[1] / "dialogue_data"

Row = Mapping[str, str]
#: A call's parameters, and the rows that it answered with.
Recorded = Tuple[Row, Tuple[Row, ...]]


def recorded_calls(folder: Path) -> Dict[Tuple[str, str], List[Recorded]]:
    """Every API call in the YAML files of `folder`, by (domain, action)."""
    calls: Dict[Tuple[str, str], List[Recorded]] = {}
    for path in sorted(folder.glob("*.yml")):
        for dialogue in read(path).dialogues:
            for turn in dialogue.turns:
                if turn.action is not None:
                    found = calls.setdefault((dialogue.domain, turn.action), [])
                    found.append((turn.parameters, turn.results))
    return calls


def most_alike(calls: List[Recorded], parameters: Row) -> List[Dict[str, str]]:
    """The rows of the recorded call that shares most with `parameters` and differs least."""

    def alike(call: Recorded) -> Tuple[int, int]:
        same = len(set(call[0].items()) & set(parameters.items()))
        return same, -len(set(call[0].items()) ^ set(parameters.items()))

    return [dict(row) for row in max(calls, key=alike)[1]]


def _register() -> None:
    for (domain, action), calls in recorded_calls(DATA).items():

        def handler(parameters: Row, calls: List[Recorded] = calls) -> List[Dict[str, str]]:
            return most_alike(calls, parameters)

        register: Callable = handles(action, domain=domain)
        register(handler)


_register()
