"""Replies that were voted down are neither retrieved, nor written, nor shown as examples."""

from __future__ import annotations

from typing import Sequence

import pytest

from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.generator.blocking import Blocked
from rasa_onramp.generator.neural import Asked, NeuralGenerator
from tiny_replies import SCHEMA, SUPPORT, embed, shared_tokens, user

WHERE = user("where is QQ7", "track", ["status"], tracking_number="QQ7")
ROW = {"status": "in transit", "expected_day": "monday"}
FOUND = Asked([WHERE], WHERE.state, [ROW], "find")
USUAL = RetrievalGenerator(SCHEMA, SUPPORT, embed).reply(*FOUND)


def retrieval(*blocked: str) -> RetrievalGenerator:
    return RetrievalGenerator(SCHEMA, SUPPORT, embed, blocked)


@pytest.mark.parametrize(
    ("blocked", "forms", "found"),
    [
        ((), ("yes",), False),
        (("It is {status}!",), ("it is lost", "It  is {status}."), True),
        (("It is {status}!",), ("It is {window}.",), False),
        (("It is lost.",), ("It is lost",), True),
        (("...",), ("!",), False),
        (("",), ("",), False),
    ],
)
def test_how_a_reply_is_written_does_not_count(
    blocked: Sequence[str], forms: Sequence[str], found: bool
) -> None:
    assert Blocked(blocked).blocks(*forms) is found


@pytest.mark.parametrize("form", [USUAL.template, USUAL.text, USUAL.text.upper() + " !"])
def test_a_blocked_reply_is_not_retrieved(form: str) -> None:
    assert USUAL.source not in ("schema", "model")
    found = retrieval(form).reply(*FOUND)
    assert found.template != USUAL.template
    assert found.text  # something is said all the same


def test_the_schemas_own_words_are_the_last_resort() -> None:
    blocked = []
    reply = USUAL
    while reply.source != "schema":
        blocked.append(reply.template)
        reply = retrieval(*blocked).reply(*FOUND)
    assert "in transit" in reply.text
    assert retrieval(*blocked, reply.template).reply(*FOUND) == reply


def test_a_blocked_reply_is_not_shown_to_the_language_model() -> None:
    templates = {reply.template.text for reply in retrieval().pool.replies}
    left = {reply.template.text for reply in retrieval(USUAL.template).pool.replies}
    assert templates - left == {USUAL.template}
    shown = NeuralGenerator(retrieval(), shared_tokens(), lambda prompt: None).prompt(FOUND)
    not_shown = NeuralGenerator(
        retrieval(USUAL.template), shared_tokens(), lambda prompt: None
    ).prompt(FOUND)
    assert shown.ids.tolist() != not_shown.ids.tolist()


def test_a_blocked_text_is_not_said_though_it_is_written() -> None:
    text = "Good news: {tracking_number} is {status}."
    for blocked, said in (
        ((), True),
        ((text,), False),
        (("good news - QQ7 is in transit",), False),
        (("Good news: {tracking_number} is lost.",), True),
    ):
        generator = NeuralGenerator(
            retrieval(*blocked), shared_tokens(), lambda prompt: text, sure=1.1
        )
        assert (generator.reply(*FOUND).source == "model") is said


def test_a_reply_to_nobody_blocks_nothing_else() -> None:
    assert retrieval("Goodbye, Mallory!").reply(*FOUND) == USUAL
