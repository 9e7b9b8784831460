"""The metrics against cases worked out by hand from SGD's published definitions."""

from __future__ import annotations

import json
import math

import pytest

from rasa_onramp.dialogue import Dialogue, Intent, Schema, Slot, State, Turn
from rasa_onramp.evaluation.metrics import (
    aggregate,
    score_dialogue,
    score_turn,
    token_sort_ratio,
)
from robustness_parts.sensitivity import schema_sensitivity

SCHEMA = Schema(
    "restaurants",
    slots=(
        Slot("name"),
        Slot("time"),
        Slot("party_size", values=("1", "2", "3", "4")),
        Slot("outdoor", values=("True", "False")),
    ),
    intents=(Intent("reserve"), Intent("find")),
)


def state(intent=None, requested=(), **values):
    return State(
        {slot: value if isinstance(value, tuple) else (value,) for slot, value in values.items()},
        intent,
        tuple(requested),
    )


@pytest.mark.parametrize(
    ("reference", "hypothesis", "ratio"),
    [
        ("5 pm", "5 pm", 100),
        ("5 PM", "pm 5", 100),  # case and order don't count
        ("5:30 pm", "5 30 pm", 100),  # punctuation becomes a space
        ("it's", "its", 86),  # "it s" against "its": 2 * 3 / 7
        ("5 pm", "6 pm", 75),  # "5 pm" and "6 pm" share " pm": 2 * 3 / 8
        ("evening", "morning", 57),  # longest common subsequence "ning": 2 * 4 / 14
        ("abc", "xyz", 0),
        ("café", "caf", 100),  # characters 128 to 255 are dropped, not folded
        ("café", "cafe", 86),  # "caf" against "cafe": 2 * 3 / 7
        ("new_york", "new york", 88),  # underscores stay: 2 * 7 / 16 = 87.5
        ("abcdefgh", "abcdexyz", 62),  # 62.5 rounds to the even neighbour
        ("", "", 100),
        ("!?", "...", 100),  # both clean to nothing, so they are equal
        ("", "abc", 0),
    ],
)
def test_token_sort_ratio_is_fuzzywuzzys(reference, hypothesis, ratio):
    assert token_sort_ratio(reference, hypothesis) == ratio
    assert token_sort_ratio(hypothesis, reference) == ratio


def test_joint_goal_accuracy_is_the_product_of_the_slot_scores():
    # name: "bel paese" / "bel paes" = 2*8/17 = .94; time: "5 pm" / "6 pm" = .75; the rest agree.
    score = score_turn(
        SCHEMA,
        state(name="bel paese", time="5 pm", party_size="2"),
        state(name="bel paes", time="6 pm", party_size="2"),
    )
    assert score.jga == pytest.approx(0.94 * 0.75)
    assert score.average_goal_accuracy == pytest.approx((0.94 + 0.75 + 1) / 3)


def test_a_free_value_takes_the_best_of_its_references():
    reference = state(time=("17:00", "5 pm"))
    assert score_turn(SCHEMA, reference, state(time="5 PM")).jga == 1
    # "17:00" cleans to "17 00"; against "5 pm" it shares the space alone: 2 * 1 / 9 = .22
    assert score_turn(SCHEMA, state(time=("17:00",)), state(time="5 pm")).jga == pytest.approx(0.22)


def test_a_listed_value_must_be_the_first_reference_exactly():
    assert score_turn(SCHEMA, state(outdoor="True"), state(outdoor="True")).jga == 1
    assert score_turn(SCHEMA, state(outdoor="True"), state(outdoor="true")).jga == 0
    assert score_turn(SCHEMA, state(outdoor=("True", "False")), state(outdoor="False")).jga == 0


def test_only_the_first_predicted_value_counts():
    reference = state(name="abc")
    assert score_turn(SCHEMA, reference, state(name=("xyz", "abc"))).jga == 0
    assert score_turn(SCHEMA, reference, state(name=("abc", "xyz"))).jga == 1


def test_a_spurious_slot_spoils_joint_but_not_average_goal_accuracy():
    score = score_turn(SCHEMA, state(party_size="2"), state(party_size="2", name="bel paese"))
    assert score.jga == 0
    assert score.average_goal_accuracy == 1


def test_a_missed_slot_scores_nothing():
    score = score_turn(SCHEMA, state(party_size="2", name="bel paese"), state(party_size="2"))
    assert score.jga == 0
    assert score.average_goal_accuracy == 0.5


def test_dontcare_is_matched_like_any_other_value():
    assert score_turn(SCHEMA, state(outdoor="dontcare"), state(outdoor="dontcare")).jga == 1
    assert score_turn(SCHEMA, state(outdoor="dontcare"), state(outdoor="True")).jga == 0
    assert score_turn(SCHEMA, state(name="dontcare"), state(name="dontcare")).jga == 1


def test_an_empty_reference_state_leaves_average_goal_accuracy_undefined():
    right = score_turn(SCHEMA, state(), state())
    wrong = score_turn(SCHEMA, state(), state(name="bel paese"))
    assert (right.jga, right.average_goal_accuracy) == (1, None)
    assert (wrong.jga, wrong.average_goal_accuracy) == (0, None)
    full = score_turn(SCHEMA, state(name="abc"), state(name="abc"))
    figures = aggregate([right, wrong, full])
    assert figures.jga == pytest.approx(2 / 3)
    assert figures.average_goal_accuracy == 1  # the mean of one turn, not of three


def test_slots_outside_the_schema_and_slots_without_a_value_are_not_looked_at():
    assert score_turn(SCHEMA, state(), state(colour="red", name=())).jga == 1


def test_intent_accuracy_counts_no_intent_as_an_intent():
    assert score_turn(SCHEMA, state("reserve"), state("reserve")).intent_accuracy == 1
    assert score_turn(SCHEMA, state("reserve"), state("find")).intent_accuracy == 0
    assert score_turn(SCHEMA, state("reserve"), state()).intent_accuracy == 0
    assert score_turn(SCHEMA, state(), state()).intent_accuracy == 1


@pytest.mark.parametrize(
    ("reference", "predicted", "f1"),
    [
        ((), (), 1.0),
        (("name",), ("name",), 1.0),
        (("name",), (), 0.0),  # precision 1 by convention, recall 0
        ((), ("name",), 0.0),
        (("name",), ("time",), 0.0),
        (("name", "time"), ("name",), 2 / 3),  # precision 1, recall 1/2
        (("name", "time"), ("time", "outdoor"), 0.5),
    ],
)
def test_requested_f1_of_a_turn(reference, predicted, f1):
    score = score_turn(SCHEMA, state(requested=reference), state(requested=predicted))
    assert score.requested_f1 == pytest.approx(f1)
    assert score.requested_empty == (not reference and not predicted)


def test_requested_f1_with_and_without_the_turns_where_nobody_requests():
    scores = [
        score_turn(SCHEMA, state(), state()),
        score_turn(SCHEMA, state(), state()),
        score_turn(SCHEMA, state(requested=["name", "time"]), state(requested=["name"])),
        score_turn(SCHEMA, state(), state(requested=["name"])),
    ]
    figures = aggregate(scores)
    assert figures.requested_f1 == pytest.approx((1 + 1 + 2 / 3 + 0) / 4)
    assert figures.requested_f1_nonempty == pytest.approx((2 / 3 + 0) / 2)


def test_figures_of_no_turns_are_nan_and_null_in_json():
    figures = aggregate([])
    assert figures.turns == 0
    assert math.isnan(figures.jga) and math.isnan(figures.requested_f1_nonempty)
    assert json.loads(json.dumps(figures.as_dict(), allow_nan=False)) == {
        "jga": None,
        "average_goal_accuracy": None,
        "intent_accuracy": None,
        "requested_f1": None,
        "requested_f1_nonempty": None,
        "turns": 0,
    }


def test_a_schema_without_slots_has_no_joint_goal_accuracy():
    score = score_turn(Schema("chitchat"), state("reserve"), state("reserve"))
    assert score.jga is None
    assert math.isnan(aggregate([score]).jga)
    assert aggregate([score]).intent_accuracy == 1


def test_a_dialogue_is_scored_on_the_turns_that_have_a_frame():
    dialogue = Dialogue(
        "d",
        "restaurants",
        (
            Turn("user", "a table at abc", state("reserve", name="abc")),
            Turn("system", "For how many?"),
            Turn("user", "what's the weather?"),
            Turn("system", "I can't say."),
            Turn("user", "two", state("reserve", name="abc", party_size="2")),
        ),
    )
    predicted = (state("reserve", name="abc"), state("reserve", name="never scored"), None)
    scores = score_dialogue(SCHEMA, dialogue, predicted)
    assert [score.jga for score in scores] == [1, 0]
    with pytest.raises(ValueError, match="3 user turns but 2"):
        score_dialogue(SCHEMA, dialogue, predicted[:2])


@pytest.mark.parametrize(
    ("turns", "sensitivity"),
    [
        ([(1.0, 1.0, 1.0), (0.5, 0.5, 0.5)], 0.0),  # wording makes no difference
        ([(0.0, 0.0, 0.0, 0.0, 0.0)], 0.0),  # always wrong: doesn't vary
        ([(1.0, 0.0)], 2**0.5),  # mean 1/2, sample variance 1/2
        ([(1.0, 0.0, 0.0, 0.0, 0.0)], 5**0.5),  # mean 1/5, sample variance 1/5
        ([(1.0, 1.0, 1.0, 1.0, 0.0)], 0.2**0.5 / 0.8),
        ([(0.8, 0.4)], 0.08**0.5 / 0.6),  # a free value that is nearly right
        ([(1.0, 0.0), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0)], 2 * 2**0.5 / 4),  # the mean over turns
    ],
)
def test_schema_sensitivity_by_hand(turns, sensitivity):
    assert schema_sensitivity(turns) == pytest.approx(sensitivity)


def test_schema_sensitivity_of_no_turns_is_undefined():
    assert math.isnan(schema_sensitivity([]))
