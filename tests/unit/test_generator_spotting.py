"""Finding values however many were met before, and however long the texts are."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import List

import pytest

from rasa_onramp.dialogue import Schema, Slot
from rasa_onramp.generator import Grounding, spotting
from rasa_onramp.generator.counting import counted
from rasa_onramp.generator.forms import LONGEST, surfaces
from rasa_onramp.generator.spotting import (
    Region,
    Source,
    find_sources,
    longest,
    overlaps,
    tokens,
    words_near,
)
from rasa_onramp.memory import LastUsed


def test_the_vocabulary_stays_small_and_values_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spotting._english.cache_clear()
    spotting._docs.clear()
    spotting._forms.clear()
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


def found_in(text: str, *values: str) -> List[str]:
    found = find_sources(text, [Source("slot", value, value) for value in values])
    return [text[slice(*region)] for region, _ in found]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 12_000,
        "$" * 12_000,
        "US$" * 4000,
        "'s" * 6000,
        ("$" * 1990 + " ") * 6,
        "\u20ac1:" * 4000,
    ],
)
def test_signs_without_end_are_read_in_no_time(text: str) -> None:
    tokens("warm")
    begun = time.process_time()
    text = f"RX1 {text} RX2"
    assert found_in(text, "RX1", "RX2") == ["RX1", "RX2"]
    assert time.process_time() - begun < 1


def test_what_is_not_read_is_found_nowhere() -> None:
    signs = "(" * 150
    assert found_in(f"see {signs} and {'[' * 150} or {' ' * 150}", signs, "see") == ["see"]
    assert found_in("x" * 2001, "x" * 2001, "y" * 2001) == []


@pytest.mark.parametrize("value", ["14C", "50K", "5G", "T5X", "RX4821", "B7", "20 GB"])
def test_a_full_stop_is_no_part_of_a_code(value: str) -> None:
    for text in (
        f"Your seat is {value}.",
        f"It is {value}. Is that right?",
        f"{value}, or {value}.",
    ):
        assert set(found_in(text, value)) == {value}
    assert [token.text for token in tokens("Ask J. Smith in the U.S.A.")][1:] == [
        *("J.", "Smith", "in", "the", "U.S.A.")
    ]


def test_a_long_link_is_found() -> None:
    link = "https://pay.example.com/i?" + "&".join(f"key{n}=a%2F{n}" for n in range(120))
    assert 1500 < len(link) < 2000
    assert found_in(f"Pay at {link}, please.", link) == [link]


def test_many_numbers_are_looked_at_in_no_time() -> None:
    tokens("warm")
    begun = time.process_time()
    assert len(counted("I found 3 " + "3 " * 8000, 3)) == 4
    assert time.process_time() - begun < 1


def test_words_are_near_however_the_text_is_laid_out() -> None:
    text = " Two  big (rooms),\n\nfor 3 people"
    at = text.index("3")
    assert words_near(text, (at, at + 1), 2) == {"peopl": 1, "for": 1, "\n\n": 1 / 2}
    assert words_near(text, (at - 4, len(text)), 1) == {"\n\n": 1}
    assert words_near(text, (1, 4), 1) == {" ": 1}


def test_the_longest_regions_are_kept_however_many_there_are() -> None:
    rng = random.Random(0)
    for _ in range(300):
        some = [(at, at + rng.randint(1, 8)) for at in rng.choices(range(40), k=rng.randrange(20))]
        kept: List[Region] = []
        for region in sorted(set(some), key=lambda each: (each[0] - each[1], each[0])):
            kept += [] if overlaps(region, kept) else [region]
        assert longest(some) == sorted(kept)
    begun = time.process_time()
    apart = [(2 * number, 2 * number + 1) for number in range(20_000)]
    assert longest(apart) == apart
    assert time.process_time() - begun < 1


def test_what_is_kept_of_texts_and_values_is_bounded_by_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spotting, "_docs", LastUsed(200_000))
    monkeypatch.setattr(spotting, "_forms", LastUsed(50_000))
    text = "a parcel of 3 " * 100
    size = len(text) + 100 * len(tokens(text))
    assert size < spotting._docs.bytes < 10 * size
    assert tokens(text) is tokens(text)

    def read(number: int) -> None:
        assert len(tokens(f"{number} {text}")) == 401
        assert found_in(f"at {number}:30 or so", f"{number}:30") == [f"{number}:30"]
        long = f"{number} " * LONGEST
        assert found_in(f"it is {long}.", long) == [long.strip()]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(1, 200)))
    assert 1 <= len(spotting._docs) < 10 and spotting._docs.bytes <= 200_000
    assert 10 < len(spotting._forms) < 190 and spotting._forms.bytes <= 50_000
    assert all(len(value) <= LONGEST for value, _ in spotting._forms.recent())


def test_long_values_have_no_forms_that_are_kept() -> None:
    value = "5" * (LONGEST + 1)
    assert surfaces(value) == ((value, "verbatim"),)
    assert surfaces(value) is not surfaces(value)
    assert surfaces("5") is surfaces("5")
