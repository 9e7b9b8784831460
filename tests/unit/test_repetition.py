"""How far a bot keeps to its wording."""

from __future__ import annotations

from typing import Sequence

import numpy
import pytest

from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.repetition import keeps_wording, repetition
from rasa_onramp.metalearning.pace import pace


def said(*replies: Sequence[int]) -> Packed:
    """A dialogue of replies, with a token of the user's before each."""
    ids = [token for reply in replies for token in (0, *reply)]
    learned = [mark for reply in replies for mark in (False, *[True] * len(reply))]
    return Packed(numpy.array(ids), numpy.array(learned, dtype=bool))


def test_what_stands_in_another_dialogue_too_is_repeated() -> None:
    assert repetition([["a b", "c", "d"], ["c", "b c", "e"]]) == 2 / 6  # "c", twice
    assert repetition([["a", "b"], ["a", "b"]]) == 1.0
    assert repetition([["a", "a"], ["b"]]) == 0.0  # twice in one dialogue is none
    assert repetition([["a"]]) == repetition([]) == repetition([[]]) == 0.0


def test_a_bot_keeps_to_its_wording_from_a_fifth_of_its_replies_on() -> None:
    fresh = [[str(number)] for number in range(18)]
    assert keeps_wording(fresh) == 0.0
    assert keeps_wording([*fresh, ["again"], ["again"]]) == pytest.approx(0.5)
    assert keeps_wording([*fresh[:6], ["again"], ["again"]]) == 1.0


def test_replies_are_told_apart_by_where_they_end() -> None:
    # one that ends where the sequence does, and one of other length
    assert pace([said([7]), said([7, 7])], 3.0) == 1.0
    assert pace([said([9], [5]), said([7], [9])], 3.0) == 3.0


@pytest.mark.parametrize(("again", "times"), [(0, 1.0), (1, 2.0), (2, 3.0), (9, 3.0)])
def test_the_pace_grows_to_the_scale(again: int, times: float) -> None:
    fresh = [said([100 + number]) for number in range(20 - 2 * again)]
    repeated = [said([1]) for _ in range(2 * again)]
    assert pace([*fresh, *repeated], 3.0) == pytest.approx(times)
    assert pace([*fresh, *repeated], 1.0) == 1.0
