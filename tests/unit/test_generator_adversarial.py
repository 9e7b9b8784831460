"""No made-up value gets from the language model into a reply; tests/slow tries 10,000."""

from __future__ import annotations

import pytest

from adversarial_replies import (
    DATA,
    DOMAINS,
    IN_WORDS,
    foreign_values,
    let_through,
    situations,
    true_replies,
    written_by,
)
from rasa_onramp.formats import read
from tiny_replies import embed


@pytest.mark.parametrize("name", DOMAINS)
def test_nothing_made_up_is_said(name):
    corpus = read(DATA / f"{name}.yml")
    assert let_through(corpus, embed, foreign_values(name), 60, seed=0) == []


@pytest.mark.parametrize("name", DOMAINS)
def test_what_the_bot_did_say_may_be_said(name):
    """Else nothing made up is said because nothing is."""
    corpus = read(DATA / f"{name}.yml")
    support = [d for d in corpus.dialogues if d.split == "support"]
    generator = written_by(corpus, support, embed)
    replies = true_replies([d for d in corpus.dialogues if d.split == "held-out"])
    written = [generator.settled(asked, text) for asked, text in replies]
    said = [reply.text == text for reply, (_, text) in zip(written, replies)]
    assert sum(said) > len(said) / 2


@pytest.mark.parametrize("learned", ["support", None])
def test_nothing_made_up_is_said_in_words(learned):
    corpus = read(DATA / "parcel_delivery.yml")
    support = [d for d in corpus.dialogues if d.split == learned]
    asked = situations([d for d in corpus.dialogues if d.split == "held-out"])[0]
    generator = written_by(corpus, support, embed)
    for text in IN_WORDS:
        assert generator.settled(asked, text).because == "ungrounded", text
