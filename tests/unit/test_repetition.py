"""How far a bot keeps to its wording."""

from __future__ import annotations

from typing import Sequence

import numpy
import pytest

from rasa_onramp.generator.packing import Packed
from rasa_onramp.metalearning.repetition import pace, repetition


def said(*replies: Sequence[int]) -> Packed:
    """A dialogue of replies, with a token of the user's before each."""
    ids = [token for reply in replies for token in (0, *reply)]
    learned = [mark for reply in replies for mark in (False, *[True] * len(reply))]
    return Packed(numpy.array(ids), numpy.array(learned, dtype=bool))


def test_what_stands_in_another_dialogue_too_is_repeated() -> None:
    one, other = said([7, 8], [9], [5]), said([9], [7, 9], [6])
    assert repetition([one, other]) == 2 / 6  # [9], twice
    assert repetition([one, one]) == 1.0
    assert repetition([said([9], [9]), said([8])]) == 0.0  # twice in one dialogue is none
    assert repetition([one]) == repetition([]) == repetition([said()]) == 0.0
    # a reply that ends where the sequence does, and one of other length
    assert repetition([said([7]), said([7, 7])]) == 0.0


@pytest.mark.parametrize(("again", "times"), [(0, 1.0), (1, 2.0), (2, 3.0), (9, 3.0)])
def test_the_pace_grows_to_the_scale(again: int, times: float) -> None:
    fresh = [said([100 + number]) for number in range(20 - 2 * again)]
    repeated = [said([1]) for _ in range(2 * again)]
    assert pace([*fresh, *repeated], 3.0) == pytest.approx(times)
    assert pace([*fresh, *repeated], 1.0) == 1.0
