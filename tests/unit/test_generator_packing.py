"""A conversation as one sequence: what is learned of it, what is cut, what can be kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List, Sequence

import pytest

from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.packing import MOST_TOKENS, Packed, ReplyTokens, pack
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.prompt import Exchange, exchanges, opening
from rasa_onramp.generator.replies import support_replies
from tiny_replies import SCHEMA, SUPPORT, embed, shared_tokens, tokenizer

TOKENS = shared_tokens()
POOL = ReplyPool(SCHEMA, support_replies(SCHEMA, SUPPORT), embed)


def said(number: int) -> List[Exchange]:
    return exchanges(SCHEMA, support_replies(SCHEMA, [SUPPORT[number]]), POOL)


def packed(some: Sequence[Exchange], most: int = MOST_TOKENS) -> Packed:
    return pack(TOKENS, SCHEMA, some, most)


def as_text(sequence: Packed) -> str:
    return TOKENS.text(sequence.ids.tolist())


def runs(sequence: Packed) -> List[str]:
    """The texts of the stretches that are learned."""
    found: List[List[int]] = []
    before = False
    for token, learned in zip(sequence.ids.tolist(), sequence.learned.tolist()):
        if learned:
            found += [] if before else [[]]
            found[-1].append(token)
        before = learned
    return [TOKENS.text(run) for run in found]


def test_the_sequence_is_the_conversation() -> None:
    some = said(0)
    sequence = packed(some)
    assert as_text(sequence) == opening(SCHEMA) + "".join(f"{e.before} {e.reply}\n" for e in some)
    assert sequence.ids.dtype == "int64" and sequence.learned.dtype == "bool"
    assert sequence.ids.shape == sequence.learned.shape


def test_replies_and_their_ends_are_learned_and_nothing_else() -> None:
    assert runs(packed(said(0))) == [
        " What is the tracking number?\n",
        " Parcel {tracking_number} is {status} and due {expected_day}.\n",
        " Goodbye!\n",
    ]
    assert sum(packed(said(0)).learned) == sum(len(TOKENS.ids(f" {e.reply}")) + 1 for e in said(0))


def test_what_nobody_knew_is_read_and_not_learned() -> None:
    sequence = packed(said(3))
    assert as_text(sequence).endswith("Bot: How about {delivery_day}?\n")
    assert not sequence.learned.any()


def test_a_conversation_is_cut_at_whole_exchanges() -> None:
    some = said(0)
    sizes = [len(TOKENS.ids(e.before)) + len(TOKENS.ids(f" {e.reply}")) + 1 for e in some]
    head = len(TOKENS.ids(opening(SCHEMA)))
    whole = head + sum(sizes)
    for most, kept in (
        (whole, 3),
        (whole - 1, 2),
        (whole - sizes[0], 2),
        (whole - sizes[0] - 1, 1),
        (head + sizes[2], 1),
        (1, 1),  # something is always there to answer
        (0, 1),
    ):
        found, wanted = packed(some, most), packed(some[-kept:], 10_000)
        assert found.ids.tolist() == wanted.ids.tolist(), most
        assert found.learned.tolist() == wanted.learned.tolist()
        assert len(found.ids) == head + sum(sizes[-kept:])


def test_a_prompt_begins_every_longer_conversation() -> None:
    """So that what was computed for it can be kept."""
    some = said(1)
    whole = packed(some).ids.tolist()
    for number in range(len(some)):
        prompt = packed([*some[:number], replace(some[number], reply=None)])
        assert as_text(prompt).endswith("\nBot:")
        length = len(prompt.ids)
        assert prompt.ids.tolist() == whole[:length]
        assert prompt.learned.tolist() == packed(some).learned.tolist()[:length]
        answered = packed(some[: number + 1]).ids.tolist()
        assert whole[: len(answered)] == answered


def test_nothing_but_the_text_is_encoded() -> None:
    assert TOKENS.text(TOKENS.ids("Zürich {shop_2}")) == "Zürich {shop_2}"
    assert TOKENS.ids("") == []
    assert TOKENS.end == TOKENS.ids("\n") and len(TOKENS.end) == 1


def test_a_folders_tokenizer_is_read(tmp_path: Path) -> None:
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    read = ReplyTokens.from_folder(tmp_path)
    assert read.ids("where is AB12") == TOKENS.ids("where is AB12")


@pytest.mark.parametrize("content", [None, "", "{}", "no\njson"])
def test_a_folder_without_a_tokenizer_is_refused(content: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError) as caught:
        ReplyTokens.from_folder(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "tokenizer.json") in message and "\n" not in message
    assert message.endswith("give a model that has a fast tokenizer")
