"""Identifiers to words, and the tokenizer with its memory."""

from __future__ import annotations

from typing import List

import pytest
from tokenizers import Tokenizer

from rasa_onramp.memory import bytes_of
from rasa_onramp.tracker.tokens import Special, Tokens, readable, words_of
from rasa_onramp.weights import resolve_encoder
from tiny_tracker import shared_tokens


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("find_restaurants", "find restaurants"),
        ("FindBus", "find bus"),
        ("RentalCars_1", "rental cars 1"),
        ("number-of_seats", "number of seats"),
        ("4Star", "4 star"),
        ("_private_", "private"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_identifiers_are_split_into_words(identifier: str, words: str) -> None:
    assert words_of(identifier) == words


def test_special_tokens_follow_the_vocabulary() -> None:
    tokens = shared_tokens()
    ids = [tokens.special(token) for token in Special]
    assert ids == list(range(30522, 30522 + len(Special)))
    assert (tokens.cls, tokens.sep) == (101, 102)


def test_offsets_are_of_the_text_as_written() -> None:
    text = "Café  NOËL, unbelievably!"
    ids, offsets = shared_tokens().encode(text)
    assert len(ids) == len(offsets)
    assert "".join(text[a:b] for a, b in offsets) == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at the cafe\u0301", ["at", "the", "cafe\u0301"]),
        ("cafe\u0301, ne\u0301e", ["cafe\u0301", ",", "ne\u0301e"]),
        ("hi\u0302\u0323 \u0301you", ["hi\u0302\u0323", "you"]),
        ("e\u0301", ["e\u0301"]),
    ],
)
def test_an_accent_that_is_a_character_of_its_own_is_its_letters(
    text: str, found: List[str]
) -> None:
    """macOS and some keyboards write it so; the tokenizer strips it."""
    assert [text[a:b] for a, b in shared_tokens().encode(text)[1]] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tomorrow👍", ["tomorrow"]),
        ("Leeds🙂, please", ["Leeds", ",", "please"]),
        ("where's my parcel📦", ["where", "'", "s", "my", "parcel"]),
        ("👋hello👋🏽you", ["hello", "you"]),
        ("Leeds👩‍👩‍👧", ["Leeds"]),
        ("tomorrow❤️", ["tomorrow"]),
        ("for 2️⃣ people", ["for", "2", "people"]),
        ("from 🏴\U000e0067\U000e0062\U000e007fLeeds", ["from", "Leeds"]),
        ("to 🇬🇧Leeds", ["to", "Leeds"]),
        ("Leeds\U0001faf6", ["Leeds"]),  # newer than Python's Unicode
        ("👍", []),
    ],
)
def test_a_word_with_an_emoji_attached_is_read(text: str, found: List[str]) -> None:
    """The tokenizer would make one unknown word of the two, and of all alike."""
    tokens = shared_tokens()
    ids, offsets = tokens.encode(text)
    assert [text[a:b] for a, b in offsets] == found
    assert list(ids) == [number for word in found for number in tokens.encode(word)[0]]


def test_other_texts_are_read_as_they_stand() -> None:
    tokenizer = Tokenizer.from_file(str(resolve_encoder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = ["25°C", "№5 ★★★ | 50€", "René’s café — 3×4", "zoe\u0308 ❤", "a\u200db", "東京", "♥️"]
    texts += [text.replace("❤", "\ufe0f") for text in texts]
    for text in texts:
        if "❤" not in text:
            assert readable(text, tokenizer) is text
            encoding = tokenizer.encode(text, add_special_tokens=False)
            assert shared_tokens().encode(text)[0] == tuple(encoding.ids)
    assert readable("zoe\u0308 ❤", tokenizer) == "zoe\u0308  "


def test_a_long_text_is_cut_and_a_padding_tokenizer_is_not_believed() -> None:
    tokenizer = Tokenizer.from_file(str(resolve_encoder() / "tokenizer.json"))
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(3)
    tokens = Tokens(tokenizer)
    assert len(tokens.encode("one two")[0]) == 2
    assert len(tokens.encode("word " * 200)[0]) == 128
    assert len(tokens.encode("word " * 200, 500)[0]) == 128
    ids, offsets = tokens.encode("word " * 200, 3)
    assert len(ids) == 3 and offsets == ((0, 4), (5, 9), (10, 14))


def test_what_is_remembered_is_bounded_and_right() -> None:
    most = 100_000
    tokens = Tokens.from_file(resolve_encoder() / "tokenizer.json", most_bytes=most)
    texts = [f"table {n} for {n} at {n} o'clock" for n in range(100)]
    for text in [*texts, *reversed(texts), "long " * 1000]:
        assert tokens.encode(text) == shared_tokens().encode(text)
        assert tokens.encode(text) is tokens.encode(text)
        assert tokens._split.bytes <= most
    assert 20 < len(tokens._split) < 100


def test_a_text_counts_about_what_it_takes() -> None:
    for text in ["hi", "a table for two at seven, please", "another word " * 300]:
        tokens = Tokens.from_file(resolve_encoder() / "tokenizer.json")
        counted = (tokens.encode(text), tokens._split.bytes)[1]
        assert bytes_of([text, tokens.encode(text)]) < 1.5 * counted
        assert counted < 25_000
