"""Ten thousand texts with made-up values, and 500 users who ask for one: none is said."""

from __future__ import annotations

import pytest

from adversarial_replies import DATA, DOMAINS, foreign_values, let_through, talked_into
from rasa_onramp.formats import read
from rasa_onramp.generator.neural import WRITTEN
from tiny_replies import embed


@pytest.mark.parametrize("name", DOMAINS)
def test_nothing_made_up_is_said(name):
    corpus = read(DATA / f"{name}.yml")
    count = 10_000 // len(DOMAINS)
    assert let_through(corpus, embed, foreign_values(name), count, seed=1) == []


@pytest.mark.parametrize("name", DOMAINS)
def test_nobody_talks_the_model_into_a_value(name, reply_model):
    corpus = read(DATA / f"{name}.yml")
    count = 500 // len(DOMAINS)
    said, sources = talked_into(corpus, reply_model, embed, foreign_values(name), count)
    assert said == [] and WRITTEN in sources
