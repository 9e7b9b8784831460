"""Who looks at whom and who points where; one pass equals remembering and asking."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rasa_onramp.dialogue import Turn
from rasa_onramp.metalearning.lora import initial_lora
from rasa_onramp.tracker.batch import attention_mask, candidate_mask, collate
from rasa_onramp.tracker.model import Scores, StateTracker
from rasa_onramp.tracker.prompt import Prompt, build_prompt
from rasa_onramp.tracker.roles import Role
from rasa_onramp.tracker.schema_prompt import build_schema
from tiny_tracker import CAFE, CONFIG, booking, in_one_pass, prompt_of, shared_tokens, tiny_tracker

LOWEST = torch.finfo(torch.float32).min


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    """With low-rank updates and marked offers that do change something."""
    tracker = tiny_tracker(seed=3, spread=3.0)
    lora = initial_lora(CONFIG, 2, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    tracker.weights.update(
        {k: torch.randn(v.shape, generator=generator) * 0.3 for k, v in lora.items()}
    )
    tracker.weights["offer.weight"] = torch.ones(CONFIG.hidden_size)
    return tracker


def expected_attention(prompt: Prompt, query: int, key: int) -> bool:
    """prompt.py's docstring, token by token."""
    asks = prompt.role >= Role.QUERY_FREE
    qu, ku = prompt.utterance[query], prompt.utterance[key]
    if not asks[query]:
        return not asks[key] and ku <= qu  # the schema is utterance -1
    if asks[key]:
        return ku == qu
    if ku == -1 and prompt.segment[key] and prompt.segment[query]:
        return prompt.segment[key] == prompt.segment[query]
    return ku <= qu


def test_attention_is_as_the_docstring_says() -> None:
    prompt = prompt_of(booking(0).turns, 0, 2, 4)
    batch = collate([prompt])
    mask = attention_mask(batch, batch)[0]
    wanted = [
        [expected_attention(prompt, q, k) for k in range(len(prompt))] for q in range(len(prompt))
    ]
    assert torch.equal(mask, torch.tensor(wanted))


def test_a_slots_query_does_not_see_other_slots_but_intents_query_sees_all() -> None:
    prompt = prompt_of(booking(0).turns, 0)
    batch = collate([prompt])
    mask = attention_mask(batch, batch)[0]
    described = torch.from_numpy(prompt.segment[: prompt.history])
    for number in (1, 2, 3):
        row = mask[prompt.history + number - 1, : prompt.history]
        assert row[described == number].all()
        assert not row[(described > 0) & (described != number)].any()
    for query in (3, 4):
        assert mask[prompt.history + query, : prompt.history][described > 0].all()


def test_padding_is_seen_by_nobody_and_pads_see_something() -> None:
    long, short = prompt_of(booking(0).turns, 0, 2), prompt_of(booking(0).turns[:1], 0)
    batch = collate([long, short])
    mask = attention_mask(batch, batch)[1]
    assert not mask[: len(short), len(short) :].any()
    assert mask.any(-1).all()


def test_candidates_are_what_a_query_may_answer() -> None:
    turns = booking(0).turns
    prompt = prompt_of(turns, 0, 4)
    batch = collate([prompt])
    mask = candidate_mask(batch, batch)[0]
    for query in range(prompt.history, len(prompt)):
        allowed = set(torch.nonzero(mask[query]).flatten().tolist())
        role, turn = prompt.role[query], prompt.utterance[query]
        schema = prompt.schema
        wanted = {schema.none}
        if role in (Role.QUERY_FREE, Role.QUERY_LISTED):
            wanted |= {schema.any, schema.clear}
        if role == Role.QUERY_LISTED:
            wanted |= set(schema.targets[prompt.segment[query] - 1].values())
        if role == Role.QUERY_FREE:
            wanted |= {
                token
                for token in range(prompt.history)
                if prompt.role[token] == Role.TEXT and prompt.utterance[token] <= turn
            }
        if role == Role.QUERY_INTENT:
            wanted |= set(schema.intents.values())
        if role == Role.QUERY_ACTION:
            wanted |= set(schema.actions.values())
        assert allowed == wanted


def test_a_turn_never_sees_its_future(tracker: StateTracker) -> None:
    turns = list(booking(0).turns)
    other = [*turns[:3], Turn("system", "something else entirely?"), replace(turns[4], text="no")]
    one, two = prompt_of(turns, 0, 2, 4), prompt_of(other, 0, 2, 4)
    same = int((one.utterance[: one.history] < 3).sum())
    assert one.ids[:same].tolist() == two.ids[:same].tolist()
    with torch.no_grad():
        before, after = in_one_pass(tracker, collate([one])), in_one_pass(tracker, collate([two]))
    for kind in ("start", "end"):
        a, b = getattr(before, kind)[0], getattr(after, kind)[0]
        # two turns of five queries each come before the change
        torch.testing.assert_close(a[:10, :same], b[:10, :same], rtol=1e-4, atol=1e-5)
        assert (a[:10, same:] == LOWEST).all() and (b[:10, same:] == LOWEST).all()
        assert not torch.allclose(a[10:15, :same], b[10:15, :same], atol=1e-3)
    torch.testing.assert_close(before.requested[:, :10], after.requested[:, :10])


def test_asking_more_turns_changes_no_answer(tracker: StateTracker) -> None:
    turns = booking(0).turns
    with torch.no_grad():
        together = in_one_pass(tracker, collate([prompt_of(turns, 0, 2, 4)]))
        alone = in_one_pass(tracker, collate([prompt_of(turns, 4)]))
    history = prompt_of(turns, 4).history
    torch.testing.assert_close(
        together.start[0, 10:15, :history], alone.start[0, :, :history], rtol=1e-4, atol=1e-5
    )


def test_padding_changes_no_answer(tracker: StateTracker) -> None:
    prompts = [prompt_of(booking(0).turns, 0, 2, 4), prompt_of(booking(1).turns[:1], 0)]
    with torch.no_grad():
        together = in_one_pass(tracker, collate(prompts))
        for row, prompt in enumerate(prompts):
            alone = in_one_pass(tracker, collate([prompt]))
            queries, length = alone.start.shape[1:]
            assert_same(alone, row_of(together, row, queries, length))


def row_of(scores: Scores, row: int, queries: int, length: int) -> Scores:
    return Scores(
        scores.start[row : row + 1, :queries, :length],
        scores.end[row : row + 1, :queries, :length],
        scores.requested[row : row + 1, :queries],
    )


def assert_same(one: Scores, two: Scores) -> None:
    for name in ("start", "end", "requested"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("offers", [False, True])
def test_remembering_and_asking_is_one_pass(tracker: StateTracker, offers: bool) -> None:
    prompts = [
        prompt_of(booking(0).turns, 0, 2, 4, offers=offers),
        prompt_of(booking(5).turns[:3], 2, offers=offers),
    ]
    histories = [prompt_of(prompt.turns, offers=offers) for prompt in prompts]
    with torch.no_grad():
        whole = in_one_pass(tracker, collate(prompts))
        memory = tracker.remember(collate(histories))
        asked = tracker.ask(memory, collate(prompts, "queries"))
    for row, prompt in enumerate(prompts):
        queries = len(prompt.asked) * prompt.queries_a_turn
        assert_same(
            row_of(whole, row, queries, prompt.history),
            row_of(asked, row, queries, prompt.history),
        )
        assert (asked.start[row, :, prompt.history :] == LOWEST).all()


@pytest.mark.parametrize("offers", [False, True])
def test_a_remembered_schema_goes_with_every_dialogue(tracker: StateTracker, offers: bool) -> None:
    schema = build_schema(shared_tokens(), CAFE)
    prompts = [
        prompt_of(booking(0).turns, 0, 2, 4, offers=offers),
        prompt_of(booking(5).turns[:3], 2, offers=offers),
    ]
    with torch.no_grad():
        whole = in_one_pass(tracker, collate(prompts))
        memory = tracker.remember(collate([build_prompt(shared_tokens(), schema, ())]))
        asked = tracker.ask(memory, collate(prompts, "said"))
    for row, prompt in enumerate(prompts):
        queries = len(prompt.asked) * prompt.queries_a_turn
        assert_same(
            row_of(whole, row, queries, prompt.history),
            row_of(asked, row, queries, prompt.history),
        )


def test_marked_offers_and_known_values_are_seen(tracker: StateTracker) -> None:
    turns = booking(0).turns
    known = {"guest_name": ("ann",)}
    with torch.no_grad():
        plain, offered, filled = (
            in_one_pass(tracker, collate([prompt])).start
            for prompt in (
                prompt_of(turns, 4),
                prompt_of(turns, 4, offers=True),
                prompt_of(turns, 4, known=[known]),
            )
        )
    assert not torch.allclose(plain, offered, atol=1e-4)
    assert not torch.allclose(plain, filled, atol=1e-4)


def test_a_batch_of_different_schemas(tracker: StateTracker) -> None:
    """One with fewer slots and listed values: every pointer stays in its own prompt."""
    small = replace(CAFE, slots=CAFE.slots[1:2], actions=())
    prompts = [prompt_of(booking(0).turns, 2), prompt_of(booking(0).turns, 2, schema=small)]
    with torch.no_grad():
        together, alone = (
            in_one_pass(tracker, collate(prompts)),
            in_one_pass(tracker, collate(prompts[1:])),
        )
    queries, length = alone.start.shape[1:]
    assert_same(alone, row_of(together, 1, queries, length))
    assert collate(prompts).queries()[1].tolist()[queries:] == [-1, -1]
