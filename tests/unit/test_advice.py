"""What is said of imported dialogues that won't teach what whoever wrote them may think."""

from __future__ import annotations

from typing import List

import pytest

from rasa_onramp.advice import advice
from rasa_onramp.dialogue import unlabelled
from rasa_onramp.formats.yaml import parse_yaml

DOMAIN = """\
onramp: "1.0"
domain:
  name: parcels
  slots: [{name: number}, {name: day}, {name: size, values: [small, large]}, {name: status}]
  intents: [{name: track, required_slots: [number], optional_slots: {day: dontcare, size: small}}]
  actions:
    - name: find
      required_slots: [number]
      optional_slots: [day, size]
      result_slots: [status, day]
"""
ASKED = '{user: "where is [RX1](number)", intent: track}'
CALLED = "action: find, parameters: {number: RX1}"
FOUND = f'{{system: "It is [lost](status).", {CALLED}, results: [{{status: lost}}]}}'


def said(*dialogues: str, schema: str = DOMAIN) -> List[str]:
    """The advice about dialogues, each of which is the inside of its list of turns."""
    texts = [f"  - id: d{n}\n    turns: [{turns}]\n" for n, turns in enumerate(dialogues, start=1)]
    whole = "dialogues:\n".join([schema, "".join(texts)]) if texts else schema
    return advice(parse_yaml(whole, "parcels.yml"), unlabelled)


def test_nothing_is_said_of_what_is_whole_or_waits() -> None:
    assert said(f"{ASKED}, {FOUND}") == []
    assert said() == []
    assert said("{user: hello}, {system: hi}") == []


def test_an_action_that_nobody_calls() -> None:
    (line,) = said(f"{ASKED}, {{system: It is in transit.}}")
    assert line.startswith("parcels: no support dialogue here calls find, which teaches not to;")


def test_results_that_the_action_does_not_list() -> None:
    (line,) = said(f"{ASKED}, {FOUND}", schema=DOMAIN.replace("[status, day]", "[day]"))
    assert line.startswith("parcels: find returns status in 'd1'; that isn't among the action's")


def test_results_that_were_forgotten() -> None:
    forgotten = f'{{system: "It is [lost](status).", {CALLED}}}'
    (line,) = said(f"{ASKED}, {forgotten}")
    assert line.startswith("parcels: told after a call without results: status ('d1', turn 2);")
    # what the user said, and what the call was given, was told by no result
    nothing = f'{{system: "Nothing on [friday](day) for [RX1](number).", {CALLED}}}'
    known = '{user: "[RX1](number) on [friday](day)", intent: track}'
    assert said(f"{known}, {nothing}") == []


@pytest.mark.parametrize(
    ("message", "is_missed"),
    [
        ("{user: on friday, set: {day: 2024-06-07}}", True),
        ("{user: on friday, set: {day: [2024-06-07, Friday]}}", False),
        ("{user: on fridays, set: {day: friday}}", True),
        ("{user: the one you said, set: {day: Monday}}", False),
        ('{user: "on [fri](day)day"}', False),
        ("{user: whenever, set: {day: dontcare}}", False),
        ("{user: a big one, set: {size: large}}", False),
    ],
)
def test_values_that_nobody_said(message: str, is_missed: bool) -> None:
    lines = said(f"{ASKED}, {FOUND}, {ASKED}, {{system: Is monday fine?}}, {message}")
    assert len(lines) == is_missed
    if is_missed:
        assert lines[0].startswith("parcels: in no message so far, so the tracker can't find it: ")
        assert " ('d1', turn 5); write the words that were said" in lines[0]


def test_a_few_are_named_and_the_rest_counted() -> None:
    turns = [f"{{user: u, intent: track, set: {{day: d{n}}}}}, {FOUND}" for n in range(5)]
    (line,) = said(", ".join(turns))
    assert "day 'd2' ('d1', turn 5) and 2 more; write" in line
    assert "'d3'" not in line
