"""No made-up value gets from the language model into a reply; tests/slow tries 10,000."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models

from adversarial_replies import DATA, DOMAINS, foreign_values, let_through
from rasa_onramp.formats import read
from rasa_onramp.generator.packing import ReplyTokens
from tiny_replies import embed


@pytest.mark.parametrize("name", DOMAINS)
def test_nothing_made_up_is_said(name):
    corpus = read(DATA / f"{name}.yml")
    tokens = ReplyTokens(Tokenizer(models.BPE()))
    assert let_through(corpus, tokens, embed, foreign_values(name), 60, seed=0) == []
