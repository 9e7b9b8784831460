"""Methods taught by lessons and measured in their conditions: a row each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Collection, Iterator, List, Mapping, Sequence, Tuple

from rasa_onramp.dialogue import Dialogue, Schema, State
from rasa_onramp.evaluation.journal import Row
from rasa_onramp.evaluation.methods import learn
from rasa_onramp.evaluation.metrics import aggregate, score_dialogue
from rasa_onramp.evaluation.protocol import Protocol
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker
from robustness_parts.conditions import Condition, Study, lessons

__all__ = ["Key", "Row", "key_of", "measured", "planned"]

#: service, seed, condition, method
Key = Tuple[str, int, str, str]


def key_of(row: Mapping[str, Any]) -> Key:
    """Which row it is."""
    return (row["service"], row["seed"], row["condition"], row["method"])


def planned(study: Study, methods: Sequence[str], groups: Collection[str]) -> List[Key]:
    """The rows that `measured` gives."""
    return [
        (study.schema.name, study.seed, condition.name, method)
        for lesson in lessons(study)
        for method in methods
        for condition in lesson.conditions
        if condition.group in groups
    ]


def measured(
    tracker: StateTracker,
    study: Study,
    protocol: Protocol,
    groups: Collection[str],
    done: Collection[Key] = (),
) -> Iterator[Row]:
    """The study's rows, but for those `done`. Nothing is learned that no row needs."""
    for lesson in lessons(study):
        for method in protocol.methods:
            wanted = [
                condition
                for condition in lesson.conditions
                if condition.group in groups
                and (study.schema.name, study.seed, condition.name, method) not in done
            ]
            if not wanted:
                continue
            taught = learn(
                method,
                tracker,
                lesson.schema,
                lesson.support,
                offers=protocol.offers,
                seed=study.seed,
                changes=protocol.changes,
                finetuning=protocol.finetuning,
                taken={},
            )
            for condition in wanted:
                found = track_dialogues(
                    taught.tracker,
                    condition.schema,
                    condition.held_out,
                    taught.weights,
                    offers=protocol.offers,
                )
                states = [[p.state if p else None for p in each] for each in found]
                yield {
                    "service": study.schema.name,
                    "seed": study.seed,
                    "condition": condition.name,
                    "group": condition.group,
                    "method": method,
                    "seconds": round(taught.seconds, 2),
                    **_figures(condition, states),
                }


def _figures(condition: Condition, states: Sequence[Sequence[Any]]) -> Row:
    """Means over all turns, and of each held-out dialogue each turn's JGA; of the slot likewise."""
    scores = [
        score_dialogue(condition.schema, dialogue, each)
        for dialogue, each in zip(condition.held_out, states)
    ]
    row: Row = aggregate(s for each in scores for s in each).as_dict()
    row["held_out"] = [dialogue.id for dialogue in condition.held_out]
    row["turn_jga"] = [[round(s.jga, 4) for s in each if s.jga is not None] for each in scores]
    if condition.slot is not None:
        row["slot"] = condition.slot
        row["slot_scores"] = [
            _of_slot(condition.schema, condition.slot, dialogue, each)
            for dialogue, each in zip(condition.held_out, states)
        ]
    return row


def _of_slot(schema: Schema, slot: str, dialogue: Dialogue, states: Sequence[State]) -> List[float]:
    """The slot's score in the turns whose reference sets it."""
    alone = replace(schema, slots=(schema.slot(slot),))
    scores = score_dialogue(alone, dialogue, states)
    return [
        round(s.average_goal_accuracy, 4) for s in scores if s.average_goal_accuracy is not None
    ]
