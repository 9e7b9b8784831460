"""Results of the few-shot protocol as JSON, whole: predictions, replies and all scores too."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict

from rasa_onramp.evaluation.few_shot import Result
from rasa_onramp.evaluation.metrics import TurnScore
from rasa_onramp.evaluation.reply_few_shot import ReplyResult
from rasa_onramp.evaluation.reply_metrics import ScoredReply
from rasa_onramp.store.serialise import state_from_json, state_to_json

__all__ = [
    "reply_result_from_json",
    "reply_result_to_json",
    "result_from_json",
    "result_to_json",
]


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


def reply_result_to_json(result: ReplyResult) -> Dict[str, Any]:
    """What `reply_result_from_json` reads."""
    return asdict(result)


def reply_result_from_json(row: Dict[str, Any]) -> ReplyResult:
    """The result that it was. Raises AttributeError, KeyError, TypeError or ValueError if it was
    none.
    """
    replies = {name: tuple(map(_reply, found)) for name, found in row.pop("replies").items()}
    return ReplyResult(**row, replies=replies)


def _reply(row: Dict[str, Any]) -> ScoredReply:
    wanted, slots = (tuple(row.pop(key)) for key in ("reference_slots", "slots"))
    return ScoredReply(**row, reference_slots=wanted, slots=slots)
