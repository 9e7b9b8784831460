"""Figures of a method on a support set, by the same definitions for every method.

- `jga`, `average_goal_accuracy`, `intent_accuracy`: evaluation/metrics.py, SGD's definitions; the
  states are the method's own from turn to turn.
- `span_f1`: micro F1 of marked places (slot, start and end) in user turns, of the free-text slots:
  listed values have no places in SGD.
- `value_f1`: micro F1 of the slots that a turn gives a new value; right where the value scores 1 by
  SGD's definition (a listed value must be the first reference, a free one may be any, cases aside).
- `action_accuracy`: the API call before the reply, or none, the true history given; `call_f1`: of
  the calls alone, since most turns have none.
- `bleu`, `bleu_delexicalised`, `slot_error_rate`: evaluation/reply_metrics.py.
"""

from __future__ import annotations

import math
import statistics
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from peer.work import Heard, Outcome, Said
from rasa_onramp.dialogue import Dialogue, Schema, State
from rasa_onramp.evaluation.metrics import aggregate, score_dialogue, score_turn
from rasa_onramp.evaluation.reply_metrics import ScoredReply, figures_of, reply_sums
from rasa_onramp.generator.replies import support_replies

__all__ = ["F1_COUNTS", "REPLY_FIGURES", "f1", "figures"]

Row = Dict[str, Any]

#: For each F1: names of the numbers of right, given and wanted ones.
F1_COUNTS = {
    name: (f"{name}_right", f"{name}_given", f"{name}_wanted") for name in ("span", "value", "call")
}

#: Figures of replies; over several support sets they are of all replies together (`reply_sums`).
REPLY_FIGURES = ("bleu", "bleu_delexicalised", "slot_error_rate")


def figures(schema: Schema, held_out: Sequence[Dialogue], outcome: Outcome) -> Row:
    """Everything that the method gives; what it doesn't is left out."""
    heard = {(one.dialogue, one.turn): one for one in outcome.heard}
    row: Row = {}
    times = sorted(one.milliseconds for one in outcome.heard if one.milliseconds is not None)
    if times:
        row["turn_ms_p50"] = statistics.median(times)
        row["turn_ms_p95"] = times[min(len(times) - 1, round(0.95 * (len(times) - 1)))]
    if "intents" in outcome.gives or "states" in outcome.gives:
        row.update(_states(schema, held_out, heard, outcome.gives))
    if "spans" in outcome.gives:
        row.update(_counts("span", *_spans(schema, held_out, heard)))
    if "actions" in outcome.gives:
        row.update(_actions(held_out, heard))
    for said, suffix in ((outcome.said, ""), (outcome.selected, "_selected")):
        if said:
            sums = reply_sums(_replies(schema, held_out, said))
            found = figures_of(sums)
            row.update({f"{name}{suffix}": found[name] for name in REPLY_FIGURES})
            row[f"reply_sums{suffix}"] = sums.tolist()
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def f1(right: float, given: float, wanted: float) -> Optional[float]:
    """2PR / (P + R); None where nothing is given nor wanted."""
    return 2 * right / (given + wanted) if given + wanted else None


def _states(
    schema: Schema,
    held_out: Sequence[Dialogue],
    heard: Mapping[Tuple[str, int], Heard],
    gives: Sequence[str],
) -> Row:
    scores = []
    right = given = wanted = 0
    for dialogue in held_out:
        numbers = [n for n, turn in enumerate(dialogue.turns) if turn.is_user]
        states = [heard[dialogue.id, n].state for n in numbers]
        scores.extend(score_dialogue(schema, dialogue, states))
        before, own = State(), State()
        for number, state in zip(numbers, states):
            reference = dialogue.turns[number].state
            if reference is not None:
                counted = _new_values(schema, before, reference, own, state)
                right, given, wanted = (a + b for a, b in zip((right, given, wanted), counted))
                before, own = reference, state
    found = aggregate(scores)
    row: Row = {"turns": found.turns}
    if "states" in gives:
        row.update(jga=found.jga, average_goal_accuracy=found.average_goal_accuracy)
        row.update(_counts("value", right, given, wanted))
    if "intents" in gives:
        row["intent_accuracy"] = found.intent_accuracy
    return row


def _new_values(
    schema: Schema, before: State, reference: State, own: State, state: State
) -> Tuple[int, int, int]:
    """(right, given, wanted) new values of a turn; `own` is the method's state before it."""
    wanted = _news(before, reference)
    given = _news(own, state)
    right = 0
    for slot in wanted.keys() & given.keys():
        one = Schema("", slots=(schema.slot(slot),))
        if score_turn(one, State({slot: wanted[slot]}), State({slot: given[slot]})).jga == 1.0:
            right += 1
    return right, len(given), len(wanted)


def _news(before: State, after: State) -> Dict[str, Tuple[str, ...]]:
    """What a turn sets anew. SGD's states gather the spellings of a value, so one that shares a
    spelling with the value before is the same value said again.
    """
    return {
        slot: tuple(values)
        for slot, values in after.values.items()
        if values and not set(values) & set(before.values.get(slot, ()))
    }


def _spans(
    schema: Schema, held_out: Sequence[Dialogue], heard: Mapping[Tuple[str, int], Heard]
) -> Tuple[int, int, int]:
    free = {s.name for s in schema.slots if not s.categorical and s.name in schema.tracked_slots}
    right = given = wanted = 0
    for dialogue in held_out:
        for number, turn in enumerate(dialogue.turns):
            if turn.is_user and turn.state is not None:
                true = {span for span in turn.spans if span.slot in free}
                own: Set = {m for m in heard[dialogue.id, number].marks if m.slot in free}
                right += len(true & own)
                given += len(own)
                wanted += len(true)
    return right, given, wanted


def _actions(held_out: Sequence[Dialogue], heard: Mapping[Tuple[str, int], Heard]) -> Row:
    pairs: List[Tuple[Optional[str], Optional[str]]] = []
    for dialogue in held_out:
        for number, turn in enumerate(dialogue.turns[:-1]):
            after = dialogue.turns[number + 1]
            if turn.is_user and not after.is_user:
                pairs.append((after.action, heard[dialogue.id, number].action))
    right = sum(a == b for a, b in pairs)
    calls = sum(a == b for a, b in pairs if a is not None)
    given, wanted = (sum(pair[n] is not None for pair in pairs) for n in (1, 0))
    return {
        "actions": len(pairs),
        "action_accuracy": right / len(pairs) if pairs else None,
        **_counts("call", calls, given, wanted),
    }


def _counts(name: str, right: int, given: int, wanted: int) -> Row:
    names = F1_COUNTS[name]
    return {f"{name}_f1": f1(right, given, wanted), **dict(zip(names, (right, given, wanted)))}


def _replies(
    schema: Schema, held_out: Sequence[Dialogue], said: Iterable[Said]
) -> List[ScoredReply]:
    """Each reply beside its reference; one that a method didn't give is an empty one."""
    given = {(one.dialogue, one.turn): one for one in said}
    found = []
    for dialogue in held_out:
        for reference in support_replies(schema, [dialogue]):
            number = reference.number
            one = given.get((dialogue.id, number)) or Said(dialogue.id, number, "", "", ())
            # what the bot stated without state or results holding it can't be asked of a method
            wanted = [p.slot for p in reference.template.placeholders if p.origin != "own"]
            found.append(
                ScoredReply(
                    reference_text=dialogue.turns[number].text,
                    text=one.text,
                    reference_template=reference.template.text,
                    template=one.template,
                    reference_slots=tuple(wanted),
                    slots=tuple(one.slots),
                )
            )
    return found
