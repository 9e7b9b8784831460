"""Users who want made-up values said, before the real language model; tests/slow has more."""

from __future__ import annotations

import pytest

from adversarial_replies import DATA, DOMAINS, foreign_values, talked_into
from rasa_onramp.formats import read
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.neural import WRITTEN
from tiny_replies import embed


@pytest.mark.parametrize("name", DOMAINS)
def test_nobody_talks_the_model_into_a_value(name: str, reply_model: ReplyModel) -> None:
    corpus = read(DATA / f"{name}.yml")
    said, sources = talked_into(corpus, reply_model, embed, foreign_values(name), 5)
    assert said == []
    assert WRITTEN in sources  # it wasn't the retrieved replies alone that stood the test
