"""Results of the few-shot protocol as JSON, whole: predictions and each turn's scores too."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict

from rasa_onramp.evaluation.few_shot import Result
from rasa_onramp.evaluation.metrics import TurnScore
from rasa_onramp.store.serialise import state_from_json, state_to_json

__all__ = ["result_from_json", "result_to_json"]


def result_to_json(result: Result) -> Dict[str, Any]:
    """What `result_from_json` reads."""
    states = {
        name: [None if state is None else state_to_json(state) for state in found]
        for name, found in result.predictions.items()
    }
    scores = [[asdict(score) for score in one] for one in result.dialogues]
    return {**vars(result), "predictions": states, "dialogues": scores}


def result_from_json(row: Dict[str, Any]) -> Result:
    """The result that it was. Raises AttributeError, KeyError, StoreError, TypeError or ValueError
    if it was none.
    """
    states = {
        name: tuple(None if state is None else state_from_json(state, name) for state in found)
        for name, found in row.pop("predictions").items()
    }
    scores = tuple(tuple(TurnScore(**score) for score in one) for one in row.pop("dialogues"))
    return Result(**row, predictions=states, dialogues=scores)
