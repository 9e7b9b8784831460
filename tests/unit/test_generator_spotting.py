"""Finding values however many were met before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rasa_onramp.dialogue import Schema, Slot
from rasa_onramp.generator import Grounding, spotting
from rasa_onramp.generator.spotting import Source, find_sources, tokens


def test_the_vocabulary_stays_small_and_values_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spotting._english.cache_clear()
    tokens.cache_clear()
    spotting._patterns.cache_clear()
    bound = len(tokens("").vocab.strings) + 300
    monkeypatch.setattr(spotting, "_MOST_STRINGS", bound)
    grounding = Grounding(Schema("parcels", slots=(Slot("number"),)))
    vocabularies = []

    def ask(number: int) -> bool:
        value = f"zq{number}x"
        text = f"Parcel {value} at 5 pm."
        ((region, _),) = find_sources(text, [Source("number", value, value)])
        vocabulary = tokens(text).vocab
        vocabularies.append((id(vocabulary), vocabulary))
        assert len(vocabulary.strings) <= bound + 100  # threads may add some at once
        assert grounding.ungrounded(text, {"number": value}) == ("5 pm",)
        return text[slice(*region)] == value

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(400)))
    assert len(dict(vocabularies)) > 2
