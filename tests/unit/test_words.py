"""Words as the router weighs them."""

from __future__ import annotations

import math

import pytest
import torch

from rasa_onramp.runtime.background import load_background
from rasa_onramp.runtime.words import FEATURES, Vocabulary, WordIndex, WordStack, counted


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_background().vocabulary


def plain(idf: torch.Tensor) -> Vocabulary:
    """Of two background messages: one of the word "boat", one without words."""
    (boat,) = counted("boat")[0].tolist()
    return Vocabulary(idf, torch.tensor([boat]), torch.ones(1), torch.tensor([0]), 2)


def test_words_are_counted_in_lower_case_and_from_two_characters_on() -> None:
    features, counts = counted("A boat, a BOAT and I: boat-house 7")
    found = dict(zip(features.tolist(), counts.tolist()))
    assert sorted(found.values()) == [1, 1, 3]  # house, and, boat
    assert found[int(counted("Boat")[0])] == 3
    assert len(counted("a ! 7")[0]) == 0
    assert len(counted("half of a pair: ab\ud83d, déjà, 你好")[0]) == 6


def test_weights_by_hand() -> None:
    idf = torch.ones(FEATURES)
    idf[counted("boat")[0]] = 3.0
    words = plain(idf).words(["boat boat", "hire"])
    weights = dict(zip(words.features.tolist(), words.weights.tolist()))
    boat, hire = (1 + math.log(2)) * 3, 1.0
    length = math.hypot(boat, hire)
    assert weights[int(counted("boat")[0])] == pytest.approx(boat / length)
    assert weights[int(counted("hire")[0])] == pytest.approx(hire / length)
    assert float(words.vector().norm()) == pytest.approx(1.0)


def test_deviations_by_hand() -> None:
    words = plain(torch.ones(FEATURES))
    domain, asked = words.words(["boat hire"]), words.words(["hire"])
    # the background's messages: cosines 1/√2 and 0
    mean, spread = words.usual(domain)
    assert (mean, spread) == (pytest.approx(math.sqrt(0.5) / 2), pytest.approx(0.5))
    other = words.words(["nothing of it"])
    stack = WordStack([domain, other, words.words([])], [(mean, spread), (0.0, 0.01), (0.0, 1.0)])
    here = (math.sqrt(0.5) - mean) / spread
    assert stack.deviations(asked.vector()).tolist() == pytest.approx([here, 0.0, 0.0])
    # however rare: 8 deviations at most
    assert stack.deviations(other.vector()).tolist()[1] == 8.0
    none = words.words([]).vector()
    assert stack.deviations(none).tolist() == pytest.approx([-mean / spread, 0.0, 0.0])


def test_a_text_without_words_is_like_nothing(vocabulary: Vocabulary) -> None:
    none = vocabulary.words(["?"])
    assert len(none.features) == 0 and float(none.vector().norm()) == 0
    mean, spread = vocabulary.usual(none)
    assert mean == 0 and spread > 0


def test_rare_words_tell_more(vocabulary: Vocabulary) -> None:
    common, rare = (float(vocabulary.idf[counted(word)[0]]) for word in ("please", "marmalade"))
    assert 1 <= common < rare
    assert vocabulary.messages == 600


def test_domains_are_found_by_the_words_that_they_share() -> None:
    words = plain(torch.ones(FEATURES)).words
    domains = [words([text]) for text in ("boat hire", "boat", "hotel", "", "hire a hotel boat")]
    usual = [(0.1, 0.2)] * len(domains)
    index = WordIndex(domains, usual)
    stack = WordStack(domains, usual)
    for asked in ("boat", "hire a boat", "hotel", "hotel, hotel boat"):
        found = index.of(words([asked]), 3)
        alike = stack.deviations(words([asked]).vector())
        shares = int((alike > float(alike[3])).sum())
        assert found == alike.argsort(descending=True)[: min(3, shares)].tolist()
    assert index.of(words(["parcel"]), 3) == index.of(words([]), 3) == []
