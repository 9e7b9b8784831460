"""Listed values that were said word for word, and what they add to a query's scores."""

import pytest
import torch

from rasa_onramp.dialogue import Schema, Slot, State, Turn
from rasa_onramp.tracker.batch import collate, mention_masks
from rasa_onramp.tracker.mentions import MOST_VALUES, mentioned
from rasa_onramp.tracker.prompt import build_prompt
from rasa_onramp.tracker.schema_prompt import build_schema
from tiny_tracker import CAFE, in_one_pass, tiny_tracker

SIZES = Slot("size", values=("large", "Extra large", "in_person", "True", "2"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a LARGE one", {1}),
        ("an extra  large one", {2}),
        ("large or in person", {1, 3}),
        ("enlarge it, true", set()),
        ("for 2, not 22", {5}),
        ("", set()),
    ],
)
def test_values_are_found_as_words_whatever_their_case(text, wanted):
    bits = mentioned(SIZES, text)
    assert {n for n in range(1, 63) if bits >> n & 1} == wanted


@pytest.mark.parametrize("values", [("yes", "no"), ("No", "YES"), ("True", "False")])
def test_yes_and_no_are_of_no_slot(values):
    """What "no, at 5 pm" denies is any slot that takes yes or no."""
    assert mentioned(Slot("pets", values=values), "no, at 5 pm, yes, true or false") == 0
    some = Slot("parking", values=(*values, "free", "No smoking"))
    assert mentioned(some, "no, free please") == 1 << 3
    assert mentioned(some, "no smoking") == 1 << 4


def test_a_free_slot_mentions_nothing_and_a_long_list_is_read_as_far_as_bits_go():
    assert mentioned(Slot("name"), "name") == 0
    many = Slot("n", values=tuple(f"v{i}" for i in range(100)))
    assert mentioned(many, "v0") == 2
    assert mentioned(many, f"v{MOST_VALUES - 1}") == 1 << MOST_VALUES
    assert mentioned(many, f"v{MOST_VALUES}") == 0


def test_values_that_differ_in_case_only_are_one_as_in_the_prompt():
    sizes = Slot("size", values=("Large", "LARGE", "Small", "small", "tiny"))
    schema = build_schema(tiny_tracker().tokens, Schema("shop", slots=(sizes,)))
    for value in ("large", "small", "tiny"):
        bits = mentioned(sizes, f"a {value} one")
        number = schema.number[schema.targets[0][value]]
        assert bits == 1 << number, value
    assert schema.number.max() == 3
    many = Slot("n", values=tuple(f for i in range(70) for f in (f"v{i}", f"V{i}")))
    assert mentioned(many, f"v{MOST_VALUES - 1}") == 1 << MOST_VALUES
    assert mentioned(many, f"v{MOST_VALUES}") == 0


def test_masks_mark_the_own_slots_values_in_the_users_and_in_the_bots_turn():
    tokens = tiny_tracker().tokens
    schema = build_schema(tokens, CAFE)
    column = next(n for n, slot in enumerate(CAFE.slots) if slot.categorical)
    first, second = CAFE.slots[column].values[:2]
    turns = [
        Turn("user", "hi", State()),
        Turn("system", f"do you want {second}?"),
        Turn("user", f"no, {first}", State()),
    ]
    batch = collate([build_prompt(tokens, schema, turns, asked=(2,), known=({},))])
    said, heard = mention_masks(batch, batch)
    query = int(batch.queries()[0, column])
    places = schema.targets[column]
    assert said[0].nonzero().tolist() == [[query, places[first.lower()]]]
    assert heard[0].nonzero().tolist() == [[query, places[second.lower()]]]


def test_a_said_value_scores_higher_by_the_learned_weights():
    tracker = tiny_tracker()
    schema = build_schema(tracker.tokens, CAFE)
    column = next(n for n, slot in enumerate(CAFE.slots) if slot.categorical)
    value = CAFE.slots[column].values[0]
    turns = [Turn("user", f"{value} please", State())]
    batch = collate([build_prompt(tracker.tokens, schema, turns, asked=(0,), known=({},))])
    plain = {**tracker.weights, "mention.weight": torch.zeros(2)}
    weighed = {**tracker.weights, "mention.weight": torch.tensor([3.0, 1.0])}
    gain = in_one_pass(tracker, batch, weighed).start - in_one_pass(tracker, batch, plain).start
    assert gain[0].nonzero().tolist() == [[column, schema.targets[column][value.lower()]]]
    assert gain.max() == pytest.approx(3.0)
