"""The prompt's layout, schemas cut to size, and windows over long dialogues."""

from __future__ import annotations

import random
from typing import List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_onramp.dialogue import DONTCARE, Action, Dialogue, Intent, Schema, Slot, Span, Turn
from rasa_onramp.errors import ConfigError
from rasa_onramp.tracker import schema_prompt
from rasa_onramp.tracker.prompt import build_prompt
from rasa_onramp.tracker.roles import Flag, Role
from rasa_onramp.tracker.schema_prompt import build_schema, check_length
from rasa_onramp.tracker.tokens import Special
from rasa_onramp.tracker.windows import MAX_POSITIONS, windows
from tiny_tracker import CAFE, booking, examples_of, prompt_of, shared_tokens

TOKENS = shared_tokens()
NAMES = {TOKENS.special(token): f"[{token.name}]" for token in Special}


def spelled(ids) -> str:
    """Tokens in words, ours in capitals."""
    return " ".join(NAMES.get(int(i)) or TOKENS._tokenizer.id_to_token(int(i)) for i in ids)


def test_a_schema_is_spelled_out() -> None:
    schema = Schema(
        "Cafe_1",
        "Book a table",
        (Slot("visit_day", "Day of it"), Slot("seat", "", ("bar", "Window"))),
        (Intent("BookTable", "Book a table"),),
        (Action("BookTable", "Book a table"), Action("find_days", "Look up days")),
    )
    prompt = build_schema(TOKENS, schema)
    assert spelled(prompt.ids) == (
        "[CLS] cafe 1 : book a table [NONE] [ANY] [CLEAR] "
        "[SLOT] visit day : day of it [SLOT] seat [VAL] bar [VAL] window "
        "[INT] book table : book a table "
        # the action says what the intent has said, so only its name is repeated
        "[ACT] book table [ACT] find days : look up days [SEP]"
    )
    where = spelled(prompt.ids).split().index
    assert prompt.none == where("[NONE]")
    assert (prompt.any, prompt.clear) == (where("[ANY]"), where("[CLEAR]"))
    assert [spelled(prompt.ids[[p]]) for p in prompt.targets[1].values()] == ["[VAL]", "[VAL]"]
    assert list(prompt.targets[1]) == ["bar", "window"]
    assert prompt.targets[0] == {}
    assert spelled(prompt.ids[prompt.targets[1]["window"] + 1 :]).startswith("window")
    assert spelled(prompt.ids[prompt.actions["find_days"] :]).startswith("[ACT] find days")
    assert spelled(prompt.ids[prompt.intents["BookTable"] :]).startswith("[INT] book table")
    own = {n: spelled(prompt.ids[prompt.segment == n]) for n in (1, 2)}
    assert own == {1: "[SLOT] visit day : day of it", 2: "[SLOT] seat [VAL] bar [VAL] window"}


def test_a_dialogue_is_spelled_out_with_queries_at_its_end() -> None:
    turns = booking(0).turns
    prompt = prompt_of(turns, 0, 2)
    schema = build_schema(TOKENS, CAFE)
    assert spelled(prompt.ids[len(schema) : prompt.history]) == (
        "[USR] i need a table on monday [SYS] for monday : inside , terrace or bar ? "
        "[USR] the inside please [SYS] under which name ? [USR] it is anna "
        "[SYS] your table is booked"
    )
    queries = "[QUERY_FREE] [QUERY_LISTED] [QUERY_FREE] [QUERY_INTENT] [QUERY_ACTION]"
    assert spelled(prompt.ids[prompt.history :]) == f"{queries} {queries}"
    assert prompt.queries_a_turn == 5
    assert prompt.segment[prompt.history :].tolist() == [1, 2, 3, 0, 0] * 2
    assert prompt.utterance[prompt.history :].tolist() == [0] * 5 + [2] * 5
    assert (prompt.utterance[: len(schema)] == -1).all()
    # characters, of text tokens only
    text = np.flatnonzero(prompt.role == Role.TEXT)
    for token in text:
        turn = turns[prompt.utterance[token]]
        piece = turn.text[prompt.start[token] : prompt.end[token]]
        assert spelled(prompt.ids[[token]]).replace("##", "") == piece.lower()


def test_queries_sit_at_the_end_of_their_turn() -> None:
    prompt = prompt_of(booking(0).turns, 0, 4)
    assert prompt.positions[: prompt.history].tolist() == list(range(prompt.history))
    for index in (0, 4):
        ends = prompt.positions[: prompt.history][prompt.utterance[: prompt.history] == index].max()
        asked = prompt.utterance[prompt.history :] == index
        assert set(prompt.positions[prompt.history :][asked].tolist()) == {int(ends)}


def test_only_turns_in_range_are_read() -> None:
    turns = booking(0).turns
    schema = build_schema(TOKENS, CAFE)
    prompt = build_prompt(TOKENS, schema, turns, first=2, end=5, asked=(4,), known=({},))
    assert set(prompt.utterance[len(schema) :].tolist()) == {2, 3, 4}
    assert spelled(prompt.ids[len(schema) :]).startswith("[USR] the inside please [SYS]")
    assert prompt.positions[len(schema)] == len(schema)


def test_queries_say_what_is_known() -> None:
    known = {"guest_name": ("Ann",), "seating": (DONTCARE,), "elsewhere": ("x",)}
    prompt = prompt_of(booking(0).turns, 0, known=[known])
    assert prompt.flag[prompt.history :].tolist() == [Flag.FILLED, Flag.ANY, Flag.EMPTY, 0, 0]
    assert not prompt.flag[: prompt.history].any()


def test_only_the_bots_own_values_are_marked_and_only_when_asked_for() -> None:
    turns = booking(0).turns
    assert not prompt_of(turns, 4).offer.any()
    prompt = prompt_of(turns, 4, offers=True)
    marked = np.flatnonzero(prompt.offer)
    assert spelled(prompt.ids[marked]) == "monday"
    assert prompt.utterance[marked].tolist() == [1]  # not in the user's turn, marked there too
    assert prompt.offer[marked].tolist() == [3]
    # a span that covers parts of words marks these words; an unknown slot marks nothing
    text = "unbelievable offers"
    odd = (turns[0], Turn("system", text, spans=(Span("visit_day", 2, 14), Span("size", 0, 2))))
    marked = np.flatnonzero(prompt_of(odd, 0, offers=True).offer)
    assert spelled(prompt_of(odd, 0).ids[marked]).replace(" ##", "") == "unbelievable offers"


def test_too_long_a_prompt_is_refused() -> None:
    turns = [Turn("user", "word " * 120) for _ in range(5)]
    with pytest.raises(ValueError, match="more than the encoder's 512"):
        prompt_of(turns, 0)


def wide(slots: int, values: int, words: int) -> Schema:
    """A schema of `slots` slots with `values` values, described in `words` words."""
    said = " ".join(["description"] * words)
    return Schema(
        "Wide",
        said,
        tuple(
            Slot(f"slot_number_{n}", said, tuple(f"value {n} {v}" for v in range(values)))
            for n in range(slots)
        ),
        tuple(Intent(f"Intent{n}", said) for n in range(3)),
        tuple(Action(f"action_{n}", said) for n in range(3)),
    )


@pytest.mark.parametrize(
    ("schema", "left"),  # words of each description; the colon before it is a token as well
    [(wide(4, 0, 5), 5), (wide(8, 0, 60), 15), (wide(20, 0, 60), 7), (wide(60, 0, 60), 0)],
)
def test_descriptions_are_shortened_evenly(schema: Schema, left: int) -> None:
    prompt = build_schema(TOKENS, schema)
    assert len(prompt) <= 400
    texts = [spelled(prompt.ids[prompt.segment == n]) for n in range(1, len(schema.slots) + 1)]
    assert {text.count("description") for text in texts} == {left}
    assert all(f"slot number {n}" in text for n, text in enumerate(texts))
    assert len(prompt.intents) == len(prompt.actions) == 3


def test_many_listed_values_are_cut_to_their_first_words() -> None:
    values = tuple(f"the value that has number {n} in the list" for n in range(60))
    prompt = build_schema(TOKENS, Schema("Listed", "", (Slot("choice", "Any", values),)))
    assert len(prompt) <= 400
    assert list(prompt.targets[0]) == list(values)
    assert len(set(prompt.targets[0].values())) == 60


def test_a_schema_beyond_all_cutting_is_refused_by_name() -> None:
    with pytest.raises(ConfigError) as caught:
        build_schema(TOKENS, wide(30, 20, 3))
    message = str(caught.value)
    assert "'Wide'" in message and "split the domain" in message and "\n" not in message


@pytest.mark.parametrize("slots", [1, 30, 60])
@pytest.mark.parametrize("words", [0, 60])
def test_a_schema_is_known_to_be_too_long_before_it_is_used(slots: int, words: int) -> None:
    for values in (0, 1, 3, 4, 118, 122, 123, 124, 127, 130, 190, 200):
        schema = wide(slots, values, words)
        try:
            build_schema(TOKENS, schema)
        except ConfigError as error:
            with pytest.raises(ConfigError, match=str(error)):
                check_length(TOKENS, schema)
        else:
            check_length(TOKENS, schema)


def test_a_schema_of_few_parts_is_not_tokenised_to_know_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schema_prompt, "build_schema", None)
    check_length(TOKENS, CAFE)
    check_length(TOKENS, wide(31, 3, 60))
    with pytest.raises(TypeError):
        check_length(TOKENS, wide(32, 3, 60))


LENGTHS = st.lists(st.integers(0, 160), min_size=1, max_size=60)


def spoken(lengths: List[int]) -> List[Turn]:
    return [Turn("user" if n % 2 == 0 else "system", "word " * k) for n, k in enumerate(lengths)]


@given(LENGTHS, st.integers(20, 400))
def test_windows_ask_each_turn_once_within_the_encoders_positions(
    lengths: List[int], schema_length: int
) -> None:
    turns = spoken(lengths)
    cuts = windows(TOKENS, schema_length, turns)
    asked = [i for _, start, end in cuts for i in range(start, end)]
    assert asked == list(range(len(turns)))
    assert all(0 <= first <= start < end <= len(turns) for first, start, end in cuts)
    for before, after in zip(cuts, cuts[1:]):
        assert before[0] < after[0] <= after[1] == before[2]


@given(LENGTHS, st.sampled_from([4, 12, 30]))
@settings(max_examples=40)
def test_every_window_is_a_prompt_that_fits(lengths: List[int], slots: int) -> None:
    turns = spoken(lengths)
    schema = build_schema(TOKENS, wide(slots, 2 if slots < 30 else 1, 30))
    for first, start, end in windows(TOKENS, len(schema), turns):
        asked = [i for i in range(start, end) if turns[i].is_user]
        known = [{}] * len(asked)
        prompt = build_prompt(TOKENS, schema, turns, first=first, end=end, asked=asked, known=known)
        assert prompt.history <= MAX_POSITIONS
        assert prompt.positions.max() < MAX_POSITIONS
        # every turn that is read has at least its speaker's mark
        assert set(prompt.utterance[len(schema) : prompt.history].tolist()) == set(
            range(first, end)
        )


def test_the_last_window_of_a_history_is_the_one_its_dialogue_has() -> None:
    """So that a turn is read alike live and in a dialogue that is known to its end."""
    turns = spoken([30] * 50)
    whole = windows(TOKENS, 200, turns)
    assert len(whole) > 3
    for length in range(1, 51):
        first, start, _ = windows(TOKENS, 200, turns[:length])[-1]
        assert [(f, s) for f, s, e in whole if s <= length - 1 < e] == [(first, start)]


def test_a_long_dialogue_keeps_some_history_in_each_window() -> None:
    for first, start, _ in windows(TOKENS, 200, spoken([30] * 50))[1:]:
        assert start - first >= 4


def test_examples_of_a_long_dialogue_ask_each_user_turn_once() -> None:
    turns = booking(0).turns * 30
    long = Dialogue("long", CAFE.name, turns)
    found = examples_of(TOKENS, CAFE, long, random.Random(0))
    assert len(found) > 1
    assert [i for prompt, _ in found for i in prompt.asked] == list(range(0, len(turns), 2))
